import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { guestctl } from '../../helpers/guestctl.ts'
import { run } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { startForOther } from './support.ts'

const guestd = await startForOther(t)
const file = (name: string, content: string | Uint8Array) => {
  const path = join(guestd.workspace, name)
  writeFileSync(path, content)
  chmodSync(path, 0o755)
  return path
}

/** A program whose dynamic linker is another one of the same length. */
function otherLinker(name: string): { path: string; linker: string } {
  const bytes = readFileSync('/bin/true')
  const known = Buffer.from('/lib64/ld-linux-x86-64.so.2')
  const linker = '/lib64/no-linux-x86-64.so.2'
  bytes.set(Buffer.from(linker), bytes.indexOf(known))
  return { path: file(name, bytes), linker }
}

t.test('a missing interpreter is named, and is no missing program', async t => {
  const missing = (argv: string[]) => run(guestd, { argv })
  const script = file('script', '#! /no/such/interpreter -x\necho hi\n')
  const crlf = file('crlf', '#!/bin/bash\r\necho hi\r\n')
  const chain = file('chain', `#!${script}\n`)
  const { path, linker } = otherLinker('elf')
  const cases: readonly [program: string, interpreter: string | null][] = [
    [script, '/no/such/interpreter'],
    ['./script', '/no/such/interpreter'],
    [crlf, '/bin/bash\r'],
    [chain, '/no/such/interpreter'],
    [path, linker],
    ['/no/such/program', null],
    ['no-such-program', null],
    [join(guestd.workspace, 'dangling'), null],
  ]
  for (const [program, interpreter] of cases) {
    const { exit } = await missing([program])
    matchExactly(
      t,
      exit,
      { cause: 'spawn', stage: 'exec', errno: 'ENOENT', exitCode: null },
      program,
    )
    t.equal(exit.interpreter, interpreter, program)
  }
  const found = await run(guestd, { argv: ['script'], env: { PATH: guestd.workspace } })
  t.equal(found.exit.interpreter, '/no/such/interpreter', 'by PATH')
  const ran = await run(guestd, { command: 'true' })
  t.equal(ran.exit.interpreter, null)
})

t.test('files that are no programs do no harm', async t => {
  const { stdout } = await run(guestd, { command: 'mkfifo -m 755 pipe; echo made' })
  t.equal(stdout, 'made\n')
  const head = readFileSync('/bin/true').subarray(0, 64)
  const contents: readonly [string, string | Uint8Array][] = [
    ['empty', ''],
    ['bare', '#!'],
    ['blank', '#!   \n'],
    ['long', `#!/${'x'.repeat(300)}\n`],
    ['short-elf', head],
    ['odd-elf', Buffer.concat([head.subarray(0, 32), Buffer.alloc(300, 0xff)])],
  ]
  for (const [name, content] of contents) {
    const { exit } = await run(guestd, { argv: [file(name, content)] })
    t.match(exit, { cause: 'spawn', stage: 'exec' }, name)
    t.equal(exit.interpreter, null, name)
  }
  const { exit } = await run(guestd, { argv: ['./pipe'] })
  t.match(exit, { cause: 'spawn', stage: 'exec', errno: 'EACCES' })
  copyFileSync('/bin/true', join(guestd.workspace, 'true'))
  t.match((await run(guestd, { argv: ['./true'] })).exit, { exitCode: 0 })
})

t.test('guestctl names it, and ends as bash does', async t => {
  const { code, err } = await guestctl(['run', '--', './crlf', 'x'], { connect: guestd.connect })
  t.equal(code, 127)
  t.match(err, "needs the interpreter '/bin/bash\\r', which was not found")
  t.match(err, 'CRLF')
  const { exit } = await run(guestd, { command: './crlf' })
  t.equal(exit.exitCode, 127, 'bash')
})
