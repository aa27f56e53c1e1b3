import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { run, startGuestd, until } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { stateOf } from '../../helpers/processes.ts'
import { checkTargets, signal, startListening } from './signal-targets.ts'
import { inspect, mark, remove } from './support.ts'

const guestd = await startGuestd(t)

t.test('a signal goes to the process, its group, or all of its cgroup', async t => {
  await checkTargets(guestd, t, [
    ['process', ['leader']],
    ['group', ['leader', 'member']],
    [undefined, ['leader', 'member']],
    ['cgroup', ['leader', 'leaver', 'member']],
  ])
})

t.test('signals stop, continue and end a command, real-time ones too', async t => {
  const { env } = mark(t)
  const command = 'trap "echo rt" RTMIN+3; echo up; while :; do sleep 0.02; done'
  const { text, over } = await startListening(guestd, 'signals', command, env)
  await until(() => text().includes('up'))
  const pid = Number((await inspect(guestd, 'signals')).pid)
  t.equal((await signal(guestd, 'signals', { signal: 'SIGSTOP' })).status, 204)
  await until(() => stateOf(pid) === 'T')
  matchExactly(t, await inspect(guestd, 'signals'), { state: 'running', cause: null })
  t.equal((await signal(guestd, 'signals', { signal: 'SIGCONT' })).status, 204)
  await until(() => stateOf(pid) !== 'T')
  t.equal((await signal(guestd, 'signals', { signal: 'SIGRTMIN+3' })).status, 204)
  await until(() => text().includes('rt'))
  // Not SIGINT: bash lives on when the child that it waits for did not die of it.
  t.equal((await signal(guestd, 'signals', { signal: 'SIGTERM' })).status, 204)
  await over
  t.match(await inspect(guestd, 'signals'), { cause: 'signal', signal: 'SIGTERM' })
})

t.test('a signal that cannot be sent is refused', async t => {
  const { env } = mark(t)
  const stream = await openRun(guestd, { id: 'refusing', command: 'echo up; sleep 1000', env })
  await stream.seen('up')
  for (const name of ['SIGFOO', 'TERM', '15', 'SIGRTMIN+40']) {
    const reply = await signal(guestd, 'refusing', { signal: name })
    t.equal(reply.status, 400, `${name}: ${reply.text}`)
    t.match(reply.json(), { code: 'invalid_request', field: 'signal' })
  }
  const badTarget = await signal(guestd, 'refusing', { signal: 'SIGTERM', target: 'all' })
  t.match(badTarget.json(), { status: 400, field: 'target' })
  t.match(await inspect(guestd, 'refusing'), { state: 'running' })
  await remove(guestd, 'refusing')
  await stream.rest()
  for (const target of ['process', 'group', 'cgroup']) {
    const reply = await signal(guestd, 'refusing', { signal: 'SIGTERM', target })
    t.match(reply.json(), { status: 409, code: 'command_ended' }, target)
  }
  const unknown = await signal(guestd, 'nobody-has-it', { signal: 'SIGTERM' })
  t.match(unknown.json(), { status: 404, code: 'command_not_found' })
})

t.test('the descendants of what has ended can still be signalled', async t => {
  const { env, living } = mark(t)
  await run(guestd, { id: 'left', command: 'sleep 1000 & disown; exit 0', env })
  t.equal(living().length, 1)
  const body = { signal: 'SIGTERM', target: 'cgroup' }
  t.equal((await signal(guestd, 'left', body)).status, 204)
  await until(() => living().length === 0)
})
