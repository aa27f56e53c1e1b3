import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { openOutput, openRun } from '../../helpers/frame-stream.ts'
import { run, startGuestd, until } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { inspect, mark } from './support.ts'

const KILL_GRACE_MS = 400
/** Far above what an answer takes here, far below the 30 s that a wrong wait would take. */
const AT_ONCE_MS = 5_000

const guestd = await startGuestd(t, { config: { killGraceMs: KILL_GRACE_MS } })

t.test('the exit code of the process is reported', async t => {
  for (const exitCode of [0, 1, 3, 255]) {
    const { exit } = await run(guestd, { command: `exit ${exitCode}` })
    matchExactly(t, exit, { cause: 'exit', exitCode, signal: null, stage: null, errno: null })
  }
})

t.test('the ends of many at once are not mixed up', async t => {
  const codes = Array.from({ length: 100 }, (_, index) => index)
  const got = await Promise.all(
    codes.map(async code => {
      const { exit, stdout } = await run(guestd, { command: `echo ${code}; exit ${code}` })
      return [exit.exitCode, stdout]
    }),
  )
  t.same(
    got,
    codes.map(code => [code, `${code}\n`]),
  )
})

t.test('a signal is reported by its name', async t => {
  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGSEGV', 'SIGABRT', 'SIGPIPE', 'SIGRTMIN+3']) {
    const { exit } = await run(guestd, { command: `kill -${signal.slice(3)} $$` })
    matchExactly(t, exit, { cause: 'signal', exitCode: null, signal, stage: null, errno: null })
  }
})

t.test('the facts of an exit are those of the command', async t => {
  const { exit, end } = await run(guestd, {
    command: 'for ((i = 0; i < 200000; i++)); do :; done; sleep 0.3; echo out; echo errs >&2',
  })
  t.ok(Number(exit.durationMs) >= 300, `durationMs ${exit.durationMs}`)
  t.ok(Number(exit.cpuMs) >= 50 && Number(exit.cpuMs) < Number(exit.durationMs), `${exit.cpuMs}`)
  t.match(end, { stdoutBytes: 4, stderrBytes: 5, truncated: 0, descendants: 0, cursor: 9 })
  t.equal(exit.workspaceFull, null)
})

t.test('at the time limit comes SIGTERM, and what its handler says is kept', async t => {
  const { exit, end, stdout } = await run(guestd, {
    command: 'trap "echo caught; exit 3" TERM; echo before; while :; do sleep 0.02; done',
    timeoutMs: 300,
  })
  matchExactly(t, exit, { cause: 'timeout', exitCode: 3, signal: null })
  t.equal(stdout, 'before\ncaught\n')
  t.ok(Number(exit.durationMs) >= 300)
  t.equal(end.descendants, 0)
})

t.test('a command that ignores SIGTERM is killed after the grace, with its tree', async t => {
  const { env, living } = mark(t)
  const { exit, end, stdout } = await run(guestd, {
    command: 'trap "" TERM; setsid sleep 1000 & echo partial; while :; do sleep 1; done',
    timeoutMs: 200,
    env,
  })
  matchExactly(t, exit, { cause: 'timeout', exitCode: null, signal: 'SIGKILL' })
  t.ok(Number(exit.durationMs) >= 200 + KILL_GRACE_MS, `${exit.durationMs}`)
  t.ok(Number(exit.durationMs) < AT_ONCE_MS)
  t.equal(stdout, 'partial\n')
  t.equal(end.truncated, 0)
  await until(() => living().length === 0)
})

t.test('a stopped process is woken for SIGTERM at the time limit', async t => {
  const { exit, stdout } = await run(guestd, {
    command: 'trap "echo woken; exit 4" TERM; kill -STOP $$; sleep 30',
    timeoutMs: 200,
  })
  t.match(exit, { cause: 'timeout', exitCode: 4 })
  t.equal(stdout, 'woken\n')
})

t.test(
  'without a time limit of its own a command has the configured one, detached none',
  async t => {
    const short = await startGuestd(t, { config: { timeoutMs: 200, killGraceMs: 0 } })
    const limited = await run(short, { command: 'sleep 20' })
    t.match(limited.exit, { cause: 'timeout', signal: 'SIGTERM' })
    const unlimited = await run(short, { command: 'sleep 0.5', timeoutMs: 0 })
    t.match(unlimited.exit, { cause: 'exit', exitCode: 0 })
    const body = { id: 'detached', command: 'sleep 0.5', detach: true }
    await short.request('POST', '/v1/commands', { body })
    await until(async () => (await inspect(short, 'detached')).state === 'ended')
    t.match(await inspect(short, 'detached'), { cause: 'exit', exitCode: 0 })
  },
)

t.test('a killed command says so, and gives what it wrote', async t => {
  const stream = await openRun(guestd, { id: 'victim', command: 'echo first; sleep 100' })
  await stream.seen('first')
  const reply = await guestd.request('DELETE', '/v1/commands/victim')
  t.match(reply.json(), { id: 'victim', empty: true })
  const frames = await stream.rest()
  matchExactly(t, frames, [
    { type: 'exit', cause: 'killed', exitCode: null, signal: 'SIGKILL' },
    { type: 'end', stdoutBytes: 6, descendants: 0 },
  ])
})

t.test('the first cause wins', async t => {
  const stream = await openRun(guestd, {
    id: 'twice',
    command: 'trap "" TERM; echo up; while :; do sleep 0.1; done',
    timeoutMs: 200,
  })
  await stream.seen('up')
  // In the grace that follows the time limit.
  await sleep(300)
  await guestd.request('DELETE', '/v1/commands/twice')
  const [exit] = await stream.upTo('exit')
  t.match(exit, { cause: 'timeout', signal: 'SIGKILL' })
})

t.test('a cut stream ends a command that asked for it', async t => {
  const { env, living } = mark(t)
  const command = 'setsid sleep 1000 & trap "" TERM; echo up; while :; do sleep 0.1; done'
  const body = { id: 'cut', command, onDisconnect: 'kill', env }
  const stream = await openRun(guestd, body)
  await stream.seen('up')
  await until(() => living().length >= 2)
  stream.cut()
  await until(async () => (await inspect(guestd, 'cut')).state === 'ended')
  t.match(await inspect(guestd, 'cut'), { cause: 'disconnected', signal: 'SIGKILL' })
  await until(() => living().length === 0)
})

t.test('a cut stream leaves a command alone that did not ask', async t => {
  const stream = await openRun(guestd, {
    id: 'kept',
    command: 'echo up; sleep 0.5; echo on; exit 6',
  })
  await stream.seen('up')
  stream.cut()
  await until(async () => (await inspect(guestd, 'kept')).state === 'ended')
  t.match(await inspect(guestd, 'kept'), { cause: 'exit', exitCode: 6, stdoutBytes: 6 })
})

t.test('a reader that only looks on may go without an end', async t => {
  const body = { id: 'watched', command: 'echo up; sleep 0.6; exit 6', onDisconnect: 'kill' }
  const starter = await openRun(guestd, body)
  await starter.seen('up')
  const onlooker = await openOutput(guestd, 'watched', 'follow=true')
  await onlooker.seen('up')
  onlooker.cut()
  const [exit] = (await starter.rest()).filter(frame => frame.type === 'exit')
  t.match(exit, { cause: 'exit', exitCode: 6 })
})
