import { copyFileSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { stateProblems } from '../helpers/events.ts'
import { type Guestd, run as runCommand, startGuestd, until } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { makeImage, makeMountPoint } from '../helpers/volume.ts'

const set = async (guestd: Guestd, id: string) =>
  (await guestd.request('PUT', '/v1/session', { body: { id } })).status

/** Resolves once it is noted which workspace it is. */
async function startOn(t: Test, runDir: string, config: object) {
  const guestd = await startGuestd(t, { config: { runDir, ...config } })
  const note = join(runDir, 'workspace.json')
  await until(() => existsSync(note) && statSync(note).mtimeMs > Date.now() - 60_000)
  return guestd
}

t.test('with another volume, a copy of the same one too, the state does not count', async t => {
  const first = makeImage(t, { mark: true })
  const second = join(makeScratch(t), 'copy.img')
  copyFileSync(first, second)
  const runDir = join(makeScratch(t), 'run')
  const workspaceMount = makeMountPoint(t)

  const one = await startOn(t, runDir, { workspace: first, workspaceMount })
  t.equal(await set(one, 's-1'), 200)
  await runCommand(one, { id: 'same-id', command: 'exit 3' })
  t.equal(await one.stop(), 0)

  const two = await startOn(t, runDir, { workspace: second, workspaceMount })
  t.same(await stateProblems(two), ['other_session'])
  t.equal((await two.request('GET', '/v1/commands/same-id')).status, 404)
  t.equal(await set(two, 's-2'), 200)
  t.equal((await runCommand(two, { id: 'same-id', command: 'exit 5' })).exit.exitCode, 5)
  await until(async () => (await two.request('GET', '/readyz')).status === 200)
  await two.kill()

  await two.start()
  t.same(await stateProblems(two), [], 'the same volume again')
  t.equal((await runCommand(two, { id: 'same-id', command: 'exit 5' })).exit.exitCode, 5)
  t.equal(await set(two, 's-3'), 409)
  t.equal(await set(two, 's-2'), 200)
})

t.test('with another folder the state does not count', async t => {
  const runDir = join(makeScratch(t), 'run')
  const folders = makeScratch(t)
  for (const name of ['a', 'b']) mkdirSync(join(folders, name))
  const one = await startOn(t, runDir, { workspace: join(folders, 'a') })
  t.equal(await set(one, 's-1'), 200)
  await runCommand(one, { id: 'same-id', command: 'exit 3' })
  await one.kill()
  await one.start()
  t.same(await stateProblems(one), [])
  t.equal((await one.request('GET', '/v1/commands/same-id')).status, 200)
  writeFileSync(join(folders, 'a', 'file'), '')
  await one.stop()

  const two = await startOn(t, runDir, { workspace: join(folders, 'b') })
  t.same(await stateProblems(two), ['other_session'])
  t.equal((await two.request('GET', '/v1/commands/same-id')).status, 404)
  t.equal(await set(two, 's-2'), 200)
})
