import { mkdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { run, startGuestd, until } from '../../helpers/guestd.ts'
import { inspect, mark, remove } from './support.ts'

const guestd = await startGuestd(t, { config: { killGraceMs: 400 } })
const session = (await guestd.request('GET', '/v1/session')).json()
const { path } = session.cgroup as { path: string }
/** As a login manager has them: beside the cgroups of guestd, and none of its own. */
const elsewhere = join(path, '../..', `moved-${process.pid}`)
mkdirSync(elsewhere)
t.teardown(() => until(() => removed(elsewhere)))
const MOVE = (pid: string) => `echo ${pid} > ${elsewhere}/cgroup.procs`

function removed(folder: string): boolean {
  try {
    rmdirSync(folder)
    return true
  } catch {
    return false
  }
}

const placeOf = (pid: unknown) => readFileSync(`/proc/${pid}/cgroup`, 'utf8')

t.test('a kill ends the first process where it has left its cgroup', async t => {
  const { env, living } = mark(t)
  const command = `${MOVE('$$')}; trap "" TERM; echo up; while :; do read -t 1 < /dev/zero; done`
  const stream = await openRun(guestd, { id: 'leader', command, env })
  const [start] = await stream.seen('up')
  t.match(placeOf(start?.pid), `/moved-${process.pid}`)
  const { status, body } = await remove(guestd, 'leader')
  t.equal(status, 200)
  t.same(body, { id: 'leader', empty: true, proof: 'cgroup', moved: [] })
  t.same(living(), [])
  t.match((await stream.rest()).at(-2), { type: 'exit', cause: 'killed', signal: 'SIGKILL' })
})

t.test('the time limit of a process that has left its cgroup is kept', async t => {
  const { env, living } = mark(t)
  const polite = `trap "exit 9" TERM; ${MOVE('$$')}; while :; do read -t 0.1 < <(:); done`
  const asked = await run(guestd, { command: polite, env, timeoutMs: 500 })
  t.match(asked.exit, { cause: 'timeout', exitCode: 9 })
  const stubborn = `trap "" TERM; ${MOVE('$$')}; while :; do read -t 1 < /dev/zero; done`
  const ended = await run(guestd, { command: stubborn, env, timeoutMs: 300 })
  t.match(ended.exit, { cause: 'timeout', signal: 'SIGKILL' })
  t.same(living(), [])
})

t.test('a signal to all reaches a first process that has left', async t => {
  const command = `trap "exit 8" USR1; ${MOVE('$$')}; echo up; while :; do read -t 0.1 < <(:); done`
  const stream = await openRun(guestd, { id: 'signalled', command })
  await stream.seen('up')
  const body = { signal: 'SIGUSR1', target: 'cgroup' }
  t.equal((await guestd.request('POST', '/v1/commands/signalled/signal', { body })).status, 204)
  t.match((await stream.rest()).at(-2), { type: 'exit', cause: 'exit', exitCode: 8 })
})

t.test(
  'processes that moved elsewhere are reported, and no proof claims that they are gone',
  async t => {
    for (const [id, begin] of [
      ['child', 'sleep 1000 &'],
      ['session', 'setsid sleep 1000 &'],
    ] as const) {
      const { env, living } = mark(t)
      const command = `${begin} ${MOVE('$!')}; echo "moved $!"; wait`
      const stream = await openRun(guestd, { id, command, env })
      const frames = await stream.seen('moved')
      const [, pid] = /moved (\d+)/.exec(String(frames.at(-1)?.text)) ?? []
      const { body } = await remove(guestd, id)
      t.same(body, { id, empty: false, proof: 'cgroup', moved: [Number(pid)] })
      t.same(living(), [Number(pid)])
      t.match((await stream.rest()).at(-2), { type: 'exit', cause: 'killed' })
      t.match(await inspect(guestd, id), { state: 'ended' })
      process.kill(Number(pid), 'SIGKILL')
      await until(() => living().length === 0)
    }
  },
)

t.test('a command whose first process has ended reports processes that moved away', async t => {
  const { env, living } = mark(t)
  const command = `sleep 1000 > /dev/null 2>&1 & ${MOVE('$!')}; sleep 1000 & echo "moved $!"`
  const { end } = await run(guestd, { id: 'ended', command, env })
  t.equal(end.descendants, 1)
  t.equal(living().length, 2)
  const { body } = await remove(guestd, 'ended')
  t.same(body, { id: 'ended', empty: false, proof: 'cgroup', moved: living() })
  t.equal(living().length, 1)
})

t.test('a stop ends a first process that has left its cgroup', async t => {
  const other = await startGuestd(t, { config: { killGraceMs: 300 } })
  const { env, living } = mark(t)
  const command = `trap "" TERM; ${MOVE('$$')}; echo up; while :; do read -t 1 < /dev/zero; done`
  const stream = await openRun(other, { command, env })
  await stream.seen('up')
  const [code, frames] = await Promise.all([other.stop(), stream.rest()])
  t.equal(code, 0)
  t.match(frames.at(-2), { type: 'exit', cause: 'stopped', signal: 'SIGKILL' })
  t.same(living(), [])
})

t.test('after a crash of guestd the next one ends a first process that has left', async t => {
  const other = await startGuestd(t)
  const { env, living } = mark(t)
  const command = `${MOVE('$$')}; echo up; while :; do read -t 1 < /dev/zero; done`
  const stream = await openRun(other, { id: 'left', command, env })
  await stream.seen('up')
  await other.kill()
  t.equal(living().length, 1)
  await other.start()
  t.same(living(), [])
  t.match(await inspect(other, 'left'), { state: 'ended', cause: 'lost' })
})
