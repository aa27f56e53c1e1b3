import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeScratch } from '../helpers/scratch.ts'

const demo = join(import.meta.dirname, '../../scripts/demo.ts')

async function runDemo(env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [demo], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    out += text
  })
  const [code] = await once(child, 'close')
  return { code, out }
}

t.test('without a terminal the job is shown, and all is put away', async t => {
  const { code, out } = await runDemo({})
  t.equal(code, 0)
  t.match(out, /not ok +a {3}b -> a---b, expected a-b\n\[exit code 1\]/)
  t.match(out, /ok +a {3}b -> a-b\n\[exit code 0\]/)
  t.notMatch(out, /In another terminal/)
  // As root, where loop devices are, the workspace is a volume: full, stopped, resumed.
  t.match(out, /\/dev\/zero > filler'\n\[exit code 1\]/)
  t.match(out, /\$ guestctl stop\n[\s\S]*Workspace: clean\n/)
  t.match(out, /Generation: +2\nResumed: +yes\n/)
})

t.test('a reader that goes away ends it quietly, and all is put away', async t => {
  const tmp = makeScratch(t)
  const child = spawn(process.execPath, [demo], {
    env: { PATH: process.env.PATH, TMPDIR: tmp },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let err = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    err += text
  })
  child.stdout.once('data', () => child.stdout.destroy())
  await once(child, 'close')
  t.equal(err, '')
  t.same(readdirSync(tmp), [])
})

t.test('with CMD that runs instead, and its exit code is what counts', async t => {
  t.match(await runDemo({ CMD: 'echo "$((6 * 7))"; exit 9' }), { code: 9, out: '42\n' })
})
