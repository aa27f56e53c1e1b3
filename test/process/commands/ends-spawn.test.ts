import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Guestd, run, startGuestd, until } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { childrenOf } from '../../helpers/processes.ts'
import { inspect, mark, remove } from './support.ts'

const KILL_GRACE_MS = 400
const guestd = await startGuestd(t, { config: { killGraceMs: KILL_GRACE_MS } })

t.test('a failure between clone and exec is reported with stage and errno', async t => {
  const file = (name: string, text: string, mode: number) => {
    const path = join(guestd.workspace, name)
    writeFileSync(path, text, { mode })
    return path
  }
  const closed = join(guestd.workspace, 'closed')
  mkdirSync(closed, { mode: 0o700 })
  // As much as the API takes: the variables of a login are too much for the kernel then.
  const argument = 'x'.repeat(128 * 1024 - 1)
  const tooLong = ['true', ...Array(15).fill(argument), 'x'.repeat(130_900)]
  const cases: readonly [about: string, body: object, stage: string, errno: string][] = [
    ['missing program', { argv: ['no-such-program'] }, 'exec', 'ENOENT'],
    ['missing path', { argv: ['/no/such/program'] }, 'exec', 'ENOENT'],
    ['missing interpreter', { argv: [file('nope', '#!/nope\n', 0o755)] }, 'exec', 'ENOENT'],
    ['not executable', { argv: [file('plain', 'text', 0o644)] }, 'exec', 'EACCES'],
    ['a folder', { argv: [closed] }, 'exec', 'EACCES'],
    ['a file below a file', { argv: ['/etc/passwd/x'] }, 'exec', 'ENOTDIR'],
    ['no format', { argv: [file('noformat', 'text', 0o755)] }, 'exec', 'ENOEXEC'],
    ['too long', { argv: tooLong }, 'exec', 'E2BIG'],
    ['closed cwd', { command: 'true', user: 'nobody', cwd: closed }, 'chdir', 'EACCES'],
    ['cwd below a closed folder', { command: 'true', user: 'nobody' }, 'chdir', 'EACCES'],
  ]
  for (const [about, body, stage, errno] of cases) {
    const { exit, end, frames } = await run(guestd, body)
    matchExactly(t, exit, { cause: 'spawn', stage, errno, exitCode: null, signal: null }, about)
    t.match(end, { stdoutBytes: 0, stderrBytes: 0, descendants: 0, truncated: 0 })
    t.same(
      frames.map(frame => frame.type),
      ['start', 'exit', 'end'],
      about,
    )
    t.equal(frames[0]?.pid, null)
  }
})

t.test('bash itself reports what it cannot run: 126 and 127', async t => {
  const denied = await run(guestd, { command: './plain' })
  t.match(denied.exit, { cause: 'exit', exitCode: 126 })
  t.match(denied.stderr, 'Permission denied')
  const missing = await run(guestd, { command: 'no-such-program' })
  t.match(missing.exit, { cause: 'exit', exitCode: 127 })
})

t.test('what can be seen before the launch is refused and makes no command', async t => {
  const strict = await startGuestd(t, { config: { allowRoot: false, user: 'nobody' } })
  const cases: readonly [on: Guestd, body: object, code: string, field: string][] = [
    [guestd, { command: 'true', cwd: '/no/such/folder' }, 'cwd_not_found', 'cwd'],
    [guestd, { command: 'true', cwd: 'missing' }, 'cwd_not_found', 'cwd'],
    [guestd, { command: 'true', cwd: '/etc/passwd' }, 'cwd_not_directory', 'cwd'],
    [guestd, { command: 'true', cwd: '/etc/passwd/x' }, 'cwd_not_directory', 'cwd'],
    [guestd, { command: 'true', user: 'no-such-user' }, 'user_unknown', 'user'],
    [guestd, { command: 'true', user: '4294967296' }, 'user_unknown', 'user'],
    [guestd, { command: 'true', user: '4294967295' }, 'user_unknown', 'user'],
    [guestd, { command: 'true', user: '1:4294967296' }, 'user_unknown', 'user'],
    [guestd, { command: 'true', user: '1:' }, 'user_unknown', 'user'],
    [strict, { command: 'true', user: '4711:0' }, 'user_not_allowed', 'user'],
    [strict, { command: 'true', user: '0:4711' }, 'user_not_allowed', 'user'],
    [strict, { command: 'true', user: 'root', cwd: '/' }, 'user_not_allowed', 'user'],
    [strict, { command: 'true', user: 0, cwd: '/' }, 'user_not_allowed', 'user'],
    [strict, { command: 'true', user: '0', cwd: '/' }, 'user_not_allowed', 'user'],
  ]
  const count = async (on: Guestd) => (await on.request('GET', '/v1/commands')).text
  for (const [on, body, code, field] of cases) {
    const before = await count(on)
    const reply = await on.request('POST', '/v1/commands', { body: { id: 'refused', ...body } })
    t.equal(reply.status, 422, `${JSON.stringify(body)}: ${reply.text}`)
    t.match(reply.json(), { status: 422, code, field })
    t.equal(await count(on), before)
    t.equal((await on.request('GET', '/v1/commands/refused')).status, 404)
  }
  const allowed = await run(strict, { argv: ['id', '-un'], cwd: '/' })
  t.equal(allowed.stdout, 'nobody\n')
})

t.test('a refused request leaves its id free', async t => {
  const body = { id: 'later', command: 'pwd', cwd: join(guestd.workspace, 'later') }
  t.equal((await guestd.request('POST', '/v1/commands', { body })).status, 422)
  mkdirSync(body.cwd)
  t.equal((await run(guestd, body)).stdout, `${body.cwd}\n`)
})

/**
 * A user of the base system that nothing here runs as: the stopping loop reaches every process of
 * its user, those of other tests included.
 */
const LONELY_USER = 'games'
/** Beyond the limit of a launch, so that one that hangs is seen to end. */
const STOPPING_SECONDS = 7
const VICTIMS = 10
/** Many places to look for a program at: exec takes long enough to be stopped before it. */
const SLOW_PATH = `${'/x:'.repeat(20_000)}/usr/bin:/bin`

t.test('a user that stops all of its processes does not stop guestd', async t => {
  const loop = `end=$((SECONDS + ${STOPPING_SECONDS})); while ((SECONDS < end)); do kill -STOP -1; done`
  const body = { id: 'stopper', command: loop, user: LONELY_USER, cwd: '/', detach: true }
  await guestd.request('POST', '/v1/commands', { body })
  const { env, living } = mark(t)
  const over = performance.now() + STOPPING_SECONDS * 1_000
  let slowest = 0
  let answers = 0
  const watch = async () => {
    while (performance.now() < over) {
      const from = performance.now()
      const { status } = await guestd.request('GET', '/healthz')
      slowest = Math.max(slowest, performance.now() - from)
      if (status < 300) answers += 1
      await sleep(50)
    }
  }
  const victim = async (index: number) => {
    await sleep(index * 60)
    const { exit } = await run(guestd, {
      argv: ['sleep', '100'],
      user: LONELY_USER,
      cwd: '/',
      timeoutMs: 300,
      env: index % 2 === 0 ? env : { ...env, PATH: SLOW_PATH },
    })
    return exit
  }
  const deleted = async () => {
    const launching = { id: 'deleted', argv: ['sleep', '100'], user: LONELY_USER, cwd: '/' }
    const outcome = run(guestd, { ...launching, env: { ...env, PATH: SLOW_PATH } })
    await sleep(1_000)
    const from = performance.now()
    const reply = await remove(guestd, 'deleted')
    return { reply, took: performance.now() - from, exit: (await outcome).exit }
  }
  const [exits, { reply, took, exit }] = await Promise.all([
    Promise.all(Array.from({ length: VICTIMS }, (_, index) => victim(index))),
    deleted(),
    watch(),
  ])
  t.ok(answers > 20, `${answers} answers`)
  // A launch that held guestd would hold it for the 5 s that a launch may take.
  t.ok(slowest < 3_000, `the slowest took ${Math.round(slowest)} ms`)
  t.match(reply, { status: 200, body: { empty: true } })
  t.ok(took < 3_000, `DELETE waited ${Math.round(took)} ms for a launch that hangs`)
  t.match(exit, { cause: 'killed' })
  const hung = exits.filter(exit => exit.cause === 'spawn' && exit.stage === 'timeout')
  const stopped = exits.filter(exit => exit.cause === 'timeout')
  t.equal(hung.length + stopped.length, VICTIMS, 'each ends, at a limit')
  t.ok(hung.length > 0, `${hung.length} were stopped before their exec`)
  const other = await run(guestd, { command: 'echo fine' })
  t.equal(other.stdout, 'fine\n')
  await until(async () => (await inspect(guestd, 'stopper')).state === 'ended')
  t.match(await inspect(guestd, 'stopper'), { cause: 'exit', exitCode: 0 })
  t.equal((await inspect(guestd, 'stopper')).descendants, 0)
  await until(() => living().length === 0 && childrenOf(guestd.pid).length === 0)
})
