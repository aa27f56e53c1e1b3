import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { type Guestd, run, startGuestd, until } from '../../helpers/guestd.ts'
import { childrenOf, stateOf } from '../../helpers/processes.ts'
import { inspect, startForOther } from './support.ts'

/** clone(CLONE_PARENT | SIGCHLD): each child is guestd's, and exits at once. */
const CHILDREN_FOR_PARENT = (count: number) => [
  ...['perl', '-e'],
  `for (1..${count}) { syscall(56, 0x8000 | 17, 0, 0, 0, 0) == 0 and syscall(231, 3) } print "made\\n"`,
]
/** As PID 1 of a namespace: a process that loses its parent becomes a child of guestd. */
const AS_REAPER = ['perl', '-e', 'syscall(157, 36, 1, 0, 0, 0) == 0 or die; exec @ARGV', '--']

const zombiesOf = (pid: number) => childrenOf(pid).filter(child => stateOf(child) === 'Z')
const noneLeft = (pid: number) => until(() => zombiesOf(pid).length === 0)

/** Every command has its own status while `during` runs. */
async function exitCodesDuring(guestd: Guestd, during: () => Promise<unknown>) {
  let over = false
  const codes: unknown[] = []
  const others = async () => {
    for (let code = 1; !over || code < 20; code = (code % 100) + 1) {
      const { exit } = await run(guestd, { command: `exit ${code}` })
      codes.push(exit.exitCode === code ? 'right' : exit)
    }
  }
  await Promise.all([others(), during().finally(() => (over = true))])
  return [...new Set(codes)]
}

t.test('children that a command leaves to guestd are reaped, and no status is lost', async t => {
  const guestd = await startForOther(t)
  let made = 0
  const codes = await exitCodesDuring(guestd, async () => {
    for (let round = 0; round < 5; round++) {
      const { exit, stdout } = await run(guestd, { argv: CHILDREN_FOR_PARENT(400) })
      t.equal(stdout, 'made\n')
      t.match(exit, { cause: 'exit', exitCode: 0 })
      made += zombiesOf(guestd.pid).length
    }
    await noneLeft(guestd.pid)
  })
  t.ok(made > 0, 'there were zombies')
  t.same(codes, ['right'])
})

t.test('programs that guestd runs keep their status while orphans are reaped', async t => {
  const guestd = await startForOther(t, { wrap: AS_REAPER })
  const orphans = 'for i in {1..100}; do (sleep 0.0$((RANDOM % 9)) &) ; done; sleep 0.3'
  const codes = await exitCodesDuring(guestd, async () => {
    for (let round = 0; round < 3; round++) {
      t.match((await run(guestd, { command: orphans })).exit, { exitCode: 0 })
      // Sizes of the workspace come from the helper, a child of node:child_process.
      const flush = await guestd.request('POST', '/v1/session/flush')
      t.equal(flush.status, 200, flush.text)
    }
    await noneLeft(guestd.pid)
  })
  t.same(codes, ['right'])
})

t.test('as PID 1 guestd reaps the orphans of all', async t => {
  const wrap = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child=SIGKILL']
  const guestd = await startGuestd(t, { wrap })
  t.teardown(() => guestd.kill())
  const [pid1 = -1] = childrenOf(guestd.pid)
  const { stdout, exit } = await run(guestd, {
    command: 'for i in {1..50}; do (setsid sleep 0.1 &); done; ps -o pid= 1',
  })
  t.equal(stdout.trim(), '1')
  t.equal(exit.exitCode, 0)
  t.ok(pid1 > 0)
  await noneLeft(pid1)
  t.match((await run(guestd, { command: 'exit 9' })).exit, { exitCode: 9 })
  // A lock whose holder is in another PID namespace counts for a while, also for a later folder with this inode.
  process.kill(pid1, 'SIGTERM')
  await until(() => childrenOf(guestd.pid).length === 0)
})

t.test('a command that makes children without end stops none of the others', async t => {
  const guestd = await startForOther(t)
  const endless = 'while (1) { syscall(56, 0x8000 | 17, 0, 0, 0, 0) == 0 and syscall(231, 3) }'
  // Of this user, which no other test has, there are no more than so many: zombies are among them.
  const command = `ulimit -u 500; exec perl -e '${endless}'`
  const stream = await openRun(guestd, { id: 'endless', command, user: 48_177 })
  // More than itself: on a busy host they are reaped as fast as they come.
  await until(() => childrenOf(guestd.pid).length > 1)
  for (let code = 1; code < 10; code++)
    t.match((await run(guestd, { command: `exit ${code}` })).exit, { exitCode: code })
  await guestd.request('DELETE', '/v1/commands/endless')
  t.match((await stream.rest()).at(-2), { type: 'exit', signal: 'SIGKILL' })
  await noneLeft(guestd.pid)
  t.match(await inspect(guestd, 'endless'), { state: 'ended' })
})
