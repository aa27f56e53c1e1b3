import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { run, until } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { childrenOf, stateOf } from '../../helpers/processes.ts'
import { cpuMsOf, inspect, mark, remove, startForOther } from './support.ts'

/** ptrace(PTRACE_SEIZE) of PID, and never a wait. */
const seize = (pid: string) => `syscall(101, 0x4206, ${pid}, 0, 0) == 0 or die "ptrace: $!"`
/** The first process ends as asked, traced by its own child, which lives on. */
const TRACED_LEADER = (end: string) => [
  ...['perl', '-e'],
  `$| = 1; pipe(R, W); my $leader = $$;
   if (fork() == 0) { ${seize('$leader')}; syswrite(W, "x"); sleep 1000; exit 0 }
   sysread(R, my $byte, 1); print "traced\\n"; ${end}`,
]

const guestd = await startForOther(t)

/** A share of one CPU, from 0 to 1, over half a second. */
async function cpuShare(): Promise<number> {
  const before = cpuMsOf(guestd.pid)
  await sleep(500)
  return (cpuMsOf(guestd.pid) - before) / 500
}

const zombies = () => childrenOf(guestd.pid).filter(pid => stateOf(pid) === 'Z')

t.test('a first process that its tracer does not wait for ends with its own status', async t => {
  const { env, living } = mark(t)
  const { exit, end } = await run(guestd, { id: 'exits', argv: TRACED_LEADER('exit 7'), env })
  matchExactly(t, exit, { cause: 'exit', exitCode: 7, signal: null })
  t.equal(end.descendants, 1, 'the tracer')
  t.ok((await cpuShare()) < 0.5, 'guestd does not spin')
  t.equal(living().length, 1)
  t.match((await remove(guestd, 'exits')).body, { empty: true })
  t.same(living(), [])
  await until(() => zombies().length === 0)
})

t.test('a traced first process that a signal ends has its own status', async t => {
  const { env, living } = mark(t)
  const { exit } = await run(guestd, {
    argv: TRACED_LEADER('kill "KILL", $$'),
    env,
    background: 'kill',
  })
  matchExactly(t, exit, { cause: 'signal', exitCode: null, signal: 'SIGKILL' })
  t.same(living(), [])
  await until(() => zombies().length === 0)
})

t.test('a kill ends a traced process while it runs, and reports it', async t => {
  const { env, living } = mark(t)
  const argv = TRACED_LEADER('sleep 1000')
  const stream = await openRun(guestd, { id: 'killed', argv, env })
  await stream.seen('traced')
  t.match((await remove(guestd, 'killed')).body, { empty: true })
  t.match((await stream.rest()).at(-2), { type: 'exit', cause: 'killed', signal: 'SIGKILL' })
  t.same(living(), [])
  await until(() => zombies().length === 0)
})

t.test('a tracer in another command keeps neither its end nor its place', async t => {
  const victim = await openRun(guestd, { id: 'victim', command: 'echo up; exec sleep 1000' })
  const [start] = await victim.seen('up')
  const argv = ['perl', '-e', `${seize(String(start?.pid))}; $| = 1; print "traced\\n"; sleep 1000`]
  const tracer = await openRun(guestd, { id: 'tracer', argv })
  await tracer.seen('traced')
  t.match((await remove(guestd, 'victim')).body, { empty: true })
  const frames = await victim.rest()
  t.match(frames.at(-2), { type: 'exit', cause: 'killed', signal: 'SIGKILL' })
  t.match(frames.at(-1), { type: 'end', descendants: 0 })
  t.ok((await cpuShare()) < 0.5, 'guestd does not spin')
  t.match(await inspect(guestd, 'tracer'), { state: 'running' })
  t.equal(stateOf(Number(start?.pid)), 'Z', 'its tracer has it still')
  await remove(guestd, 'tracer')
  await tracer.rest()
  await until(() => zombies().length === 0)
})

t.test('the time limit of a traced command is kept', async t => {
  const argv = TRACED_LEADER('sleep 1000')
  const { exit } = await run(guestd, { argv, timeoutMs: 500, background: 'kill' })
  t.match(exit, { cause: 'timeout' })
  await until(() => zombies().length === 0)
})
