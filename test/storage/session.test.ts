import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { run as runCommand, startGuestd } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { infoOf, putSession } from '../helpers/session.ts'
import { attach, makeMountPoint, mountOptions, run } from '../helpers/volume.ts'

async function makeVolume(t: Parameters<typeof makeScratch>[0], ...more: string[]) {
  const path = join(makeScratch(t), 'v.img')
  const made = await guestctl(['volume', 'create', path, '--size', '16MiB', ...more])
  if (made.code !== 0) throw new Error(made.err)
  return path
}

async function ownerOf(path: string): Promise<string | null> {
  const { out } = await guestctl(['volume', 'list', dirname(path), '--json'])
  return JSON.parse(out).volumes[0].mark?.sessionId ?? null
}

t.test(
  'the id and the runtime version of a session are fixed, the same request may be repeated',
  async t => {
    const guestd = await startGuestd(t)
    t.equal((await infoOf(guestd)).id, null)
    const first = await putSession(guestd, { id: 'one', env: { A: '1' } })
    t.equal(first.status, 200)
    matchExactly(t, first.json(), { id: 'one', state: 'ready' })
    t.equal((await putSession(guestd, { env: { A: '1' }, id: 'one' })).status, 200)
    const fixed = [
      [{ id: 'two', env: { A: '1' } }, 'id'],
      [{ id: 'one', runtimeVersion: '7', env: { A: '1' } }, 'runtimeVersion'],
    ] as const
    for (const [other, field] of fixed) {
      const { status, json } = await putSession(guestd, other)
      t.same([status, json().code, json().field], [409, 'session_set', field])
    }
    t.equal((await putSession(guestd, { id: 'no/path' })).status, 400)
    t.equal((await putSession(guestd, { id: 'one', other: 1 })).json().code, 'invalid_request')
  },
)

t.test("its environment is that of all commands, under a request's own", async t => {
  const guestd = await startGuestd(t, { config: { env: { A: 'image', B: 'image', C: 'image' } } })
  await putSession(guestd, { id: 'one', env: { B: 'session', C: 'session' } })
  const { stdout } = await runCommand(guestd, { command: 'echo $A $B $C', env: { C: 'own' } })
  t.equal(stdout, 'image session own\n')
})

t.test('of concurrent PUT requests one wins', async t => {
  const guestd = await startGuestd(t)
  const replies = await Promise.all(['a', 'b', 'c', 'd'].map(id => putSession(guestd, { id })))
  t.same(replies.map(reply => reply.status).sort(), [200, 409, 409, 409])
})

t.test('a restart of guestd keeps it', async t => {
  const guestd = await startGuestd(t, { config: { requireSession: true } })
  await putSession(guestd, { id: 'one', env: { A: '1' } })
  await guestd.kill()
  await guestd.start()
  t.equal((await infoOf(guestd)).id, 'one')
  t.equal((await runCommand(guestd, { command: 'echo $A' })).stdout, '1\n')
})

t.test('where it is required nothing is touched and nothing runs before', async t => {
  const workspace = await makeVolume(t)
  const before = readFileSync(workspace)
  const at = makeMountPoint(t)
  const config = { workspace, workspaceMount: at, requireSession: true }
  const guestd = await startGuestd(t, { config })
  for (const cwd of [at, '/']) {
    const body = { command: 'true', cwd }
    const reply = await guestd.request('POST', '/v1/commands', { body })
    t.same([reply.status, reply.json().code], [503, 'starting'])
  }
  t.match((await guestd.request('GET', '/readyz')).text, 'PUT /v1/session')
  const { connect } = guestd
  const refused = await guestctl(['run', '--', 'true'], { connect })
  t.match(refused.err, "(starting): assign the session with 'guestctl session set --id ID'\n")
  const { out } = await guestctl(['status'], { connect })
  t.equal(out.split('PUT /v1/session').length, 2, 'it is logged once')
  t.equal(mountOptions(at), null)
  t.ok(readFileSync(workspace).equals(before))

  const reply = await putSession(guestd, { id: 'one', runtimeVersion: '7' })
  t.match(reply.json(), { id: 'one', generation: 1, workspace: { ok: true } })
  t.equal((await guestd.request('GET', '/readyz')).status, 200)
  t.equal(await ownerOf(workspace), 'one')
  t.equal((await runCommand(guestd, { command: 'pwd' })).stdout, `${at}\n`)
})

t.test('the volume of another session is refused, and not one byte of it changes', async t => {
  const workspace = await makeVolume(t, '--session', 'one')
  const before = readFileSync(workspace)
  const at = makeMountPoint(t)
  const config = { workspace, workspaceMount: at, requireSession: true }
  const guestd = await startGuestd(t, { config })
  const reply = await putSession(guestd, { id: 'two' })
  t.same([reply.status, reply.json().code], [409, 'session_mismatch'])
  t.match(reply.json().detail, /belongs to the session one, not to two/)
  t.equal(mountOptions(at), null)
  t.equal((await infoOf(guestd)).id, null)
  t.ok(readFileSync(workspace).equals(before))
  t.equal((await putSession(guestd, { id: 'one' })).status, 200, 'the right one may still come')
  t.not(mountOptions(at), null)
})

t.test('a volume that is mounted already learns whose it is, or refuses', async t => {
  const workspace = await makeVolume(t)
  const config = { workspace, workspaceMount: makeMountPoint(t) }
  const guestd = await startGuestd(t, { config })
  t.equal((await putSession(guestd, { id: 'one' })).status, 200)
  t.equal(await ownerOf(workspace), 'one')
  await guestd.stop()
  t.equal(await ownerOf(workspace), 'one')

  const other = await startGuestd(t, { config })
  t.match((await infoOf(other)).workspace, { ok: true, sessionId: 'one' })
  const refusal = (await putSession(other, { id: 'two' })).json()
  t.match(refusal, {
    code: 'session_mismatch',
    detail: /belongs to the session one, not to two; .*/,
  })
  t.match(refusal.detail, /takes no more commands; .* With requireSession/)
  for (const cwd of [config.workspaceMount, '/']) {
    const reply = await other.request('POST', '/v1/commands', { body: { command: 'true', cwd } })
    t.same([reply.status, reply.json().code], [409, 'session_mismatch'])
  }
  const status = await guestctl(['status'], { connect: other.connect })
  t.match(status.out, /^State: +not ready\nBecause: .*belongs to the session one, not to two\n/)
  t.match(status.out, /^Owner: +the session one$/m)
  t.match((await putSession(other, { id: 'one' })).json(), {
    id: 'one',
    generation: 2,
    resumed: true,
  })
  t.equal((await runCommand(other, { command: 'true' })).exit.exitCode, 0)
  t.notMatch((await guestctl(['status'], { connect: other.connect })).out, 'Owner:')
})

t.test('where the kernel blocks writes to the device the owner is written at the stop', async t => {
  const image = await makeVolume(t)
  const workspace = attach(t, image)
  const guestd = await startGuestd(t, {
    config: { workspace, workspaceMount: makeMountPoint(t) },
  })
  run('blockdev', '--setro', workspace)
  t.equal((await putSession(guestd, { id: 'one' })).status, 200)
  t.equal(await ownerOf(image), null)
  t.match(guestd.log(), '"msg":"the mark gets its owner at the stop"')
  run('blockdev', '--setrw', workspace)
  await guestd.stop()
  t.equal(await ownerOf(image), 'one')
})

t.test('a session that was stopped takes no other', async t => {
  const guestd = await startGuestd(t)
  await guestd.request('POST', '/v1/session/stop')
  const reply = await putSession(guestd, { id: 'one' })
  t.same([reply.status, reply.json().code], [503, 'stopped'])
})
