import { once } from 'node:events'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ownCgroups } from '../helpers/own-cgroups.ts'
import { type RawOptions, spawnGuestd } from '../helpers/raw-guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'

t.test('a listener that fails is one line with the address and the reason', async t => {
  const dir = makeScratch(t)
  const taken = join(dir, 'taken.sock')
  const server = createServer().listen(taken)
  await once(server, 'listening')
  t.teardown(() => server.close())
  writeFileSync(join(dir, 'file'), '')
  const rows: readonly [uri: string, reason: RegExp][] = [
    [`unix:${taken}`, /taken\.sock is in use by another process$/],
    ['unix:/nowhere/x.sock', /listen ENOENT: the folder of \/nowhere\/x\.sock does not exist$/],
    [`unix:${dir}/file`, /listen EADDRINUSE: address already in use .*\/file/],
    [`unix:${dir}/file/below`, /E[A-Z]+: .*/],
    ['fd:77', /E[A-Z]+|[a-z]+: .*/],
  ]
  for (const [uri, reason] of rows) {
    const first = join(dir, 'first.sock')
    const { output } = await fail(t, { config: { listen: [`unix:${first}`, uri] } })
    const lines = output.split('\n').filter(line => line !== '' && !line.startsWith('{'))
    t.equal(lines.length, 1, output)
    const [line = ''] = lines
    t.ok(line.startsWith(`guestd: cannot listen on ${uri}: `), line)
    t.match(line, reason)
    t.equal(existsSync(first), false, 'the listener that was open is closed')
  }
})

t.test('a listener that fails changes no file of another', async t => {
  const dir = makeScratch(t)
  const path = join(dir, 'file')
  writeFileSync(path, '', { mode: 0o600 })
  for (const [uri, reason] of [
    [`unix:${path}`, 'listen EADDRINUSE'],
    ['unix:/nowhere/x.sock', 'listen E'],
  ] as const) {
    const { output } = await fail(t, { config: { listen: [uri], unixMode: '0660' } })
    t.match(output, `guestd: cannot listen on ${uri}: ${reason}`)
    t.notMatch(output, 'guestd failed')
  }
  t.equal(statSync(path).mode & 0o777, 0o600)
})

t.test('a socket that cannot be given its group is closed', async t => {
  // Root without CAP_CHOWN may give a file to its own groups alone.
  const wrap = process.getuid?.() === 0 ? ['setpriv', '--bounding-set', '-chown'] : []
  const dir = makeScratch(t)
  const path = join(dir, 'given.sock')
  const config = { listen: [`unix:${path}`], unixGroup: 4_242 }
  const { output } = await fail(t, { config, wrap })
  t.match(output, `guestd: cannot listen on unix:${path}: EPERM`)
  t.equal(existsSync(path), false)
})

t.test('a stop during the start serves nothing and exits with 0', async t => {
  const guestd = spawnGuestd(t)
  // Its first file shows that it has begun.
  while (!existsSync(join(guestd.dir, 'run', 'lock'))) await new Promise(setImmediate)
  guestd.child.kill('SIGTERM')
  t.same(await guestd.ended, { code: 0, signal: null })
  t.match(guestd.output(), /"msg":"the session is stopped"[\s\S]*"msg":"stopped"/)
  t.equal(ownCgroups(guestd.dir), '')
})

async function fail(t: Test, options: RawOptions) {
  const guestd = spawnGuestd(t, options)
  t.same(await guestd.ended, { code: 1, signal: null })
  t.equal(ownCgroups(guestd.dir), '', 'no cgroup is left')
  return { output: guestd.output() }
}
