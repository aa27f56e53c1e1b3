import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { openRunDir } from '../../src/daemon/run-dir.ts'
import { stateProblems } from '../helpers/events.ts'
import { run, startGuestd, until } from '../helpers/guestd.ts'
import { spawnGuestd } from '../helpers/raw-guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'

t.test('a runDir that is deleted is made again, with all that guestd knows', async t => {
  const guestd = await startGuestd(t)
  const runDir = join(guestd.dir, 'run')
  await guestd.request('PUT', '/v1/session', { body: { id: 's-1' } })
  await run(guestd, { id: 'before', command: 'exit 3' })
  rmSync(runDir, { recursive: true })
  await until(() => existsSync(join(runDir, 'commands.ndjson')))
  await until(async () => (await stateProblems(guestd)).length > 0)
  t.same(await stateProblems(guestd), ['run_dir_lost'])
  t.equal((await guestd.request('GET', '/readyz')).status, 200)
  await run(guestd, { id: 'after', command: 'exit 4' })
  await guestd.kill()
  await guestd.start()
  for (const [id, exitCode] of [
    ['before', 3],
    ['after', 4],
  ] as const)
    t.match((await guestd.request('GET', `/v1/commands/${id}`)).json(), { exitCode })
  t.equal((await guestd.request('GET', '/v1/session')).json().id, 's-1')
})

t.test('while runDir is deleted no second guestd starts on it', async t => {
  const guestd = await startGuestd(t)
  const runDir = join(guestd.dir, 'run')
  // Before the first one looks again.
  rmSync(runDir, { recursive: true })
  const second = spawnGuestd(t, { config: { runDir } })
  t.same(await second.ended, { code: 1, signal: null })
  t.match(
    second.output(),
    new RegExp(
      `^guestd: runDir ${runDir} cannot be used: another guestd has it: pid ${guestd.pid}$`,
      'm',
    ),
  )
  t.equal((await run(guestd, { command: 'echo here' })).stdout, 'here\n')
  await guestd.stop()
  const third = spawnGuestd(t, { config: { runDir } })
  await until(() => third.output().includes('"msg":"serving"'))
})

t.test('a runDir that cannot be made again is a reason not to be ready', async t => {
  const guestd = await startGuestd(t)
  const runDir = join(guestd.dir, 'run')
  renameSync(runDir, `${runDir}.gone`)
  writeFileSync(runDir, 'in the way')
  const reply = await guestd.request('GET', '/readyz')
  t.equal(reply.status, 503)
  const { reasons } = reply.json()
  t.same(
    (reasons as { code: string }[]).map(({ code }) => code),
    ['state_unavailable'],
  )
  t.match(reply.text, /was deleted, and cannot be made again: ENOTDIR/)
  t.same(await stateProblems(guestd), ['run_dir_lost'])
  rmSync(runDir)
  t.equal((await guestd.request('GET', '/readyz')).status, 200)
  t.ok(readdirSync(runDir).includes('commands.ndjson'))
})

t.test('a runDir that cannot be used keeps no lock', t => {
  const path = join(makeScratch(t), 'run')
  mkdirSync(join(path, 'lock'), { recursive: true })
  const open = () => openRunDir(path)
  // The second one would find the lock of the first.
  for (let count = 0; count < 2; count++) t.throws(open, { message: /cannot be used: EISDIR/ })
  t.end()
})

t.test('the state of another boot does not count', async t => {
  const guestd = await startGuestd(t)
  const journal = join(guestd.dir, 'run', 'commands.ndjson')
  await run(guestd, { id: 'old', command: 'exit 3' })
  await guestd.kill()
  const lines = readFileSync(journal, 'utf8').split('\n')
  const header = (lines[0] ?? '').slice(9).replace(/"bootId":"[^"]*"/, '"bootId":"another"')
  lines[0] = `${crc32(header).toString(16).padStart(8, '0')} ${header}`
  writeFileSync(journal, lines.join('\n'))
  await guestd.start()
  t.equal((await guestd.request('GET', '/v1/commands/old')).status, 404)
  t.equal((await run(guestd, { id: 'old', command: 'exit 5' })).exit.exitCode, 5)
})

t.test('files of another shape count as none, and guestd serves', async t => {
  const guestd = await startGuestd(t)
  const runDir = join(guestd.dir, 'run')
  const { bootId } = (await guestd.request('GET', '/v1/session')).json()
  const odd = [
    ['session.json', 5],
    ['session.json', { idleMs: 1 }],
    ['session.json', { id: 's-0', env: 5, idleMs: 'x' }],
    ['boot.json', { firstStartMs: 'x' }],
    ['workspace.json', { kind: 'other' }],
    ['stop.json', { reason: 5 }],
  ] as const
  for (const [name, content] of odd) {
    await guestd.kill()
    for (const file of ['session.json', 'stop.json']) rmSync(join(runDir, file), { force: true })
    writeFileSync(join(runDir, name), JSON.stringify({ bootId, content }))
    await guestd.start()
    const { state, id } = (await guestd.request('GET', '/v1/session')).json()
    t.same([state, id], ['ready', null], `${name} ${JSON.stringify(content)}`)
    t.same(await stateProblems(guestd), [], name)
    t.equal((await run(guestd, { command: 'exit 3' })).exit.exitCode, 3)
    t.equal((await guestd.request('PUT', '/v1/session', { body: { id: 's-1' } })).status, 200)
  }
})
