import t, { type Test } from 'tap'
import type { Frame } from '../../src/client/index.ts'
import { startGuestctl } from '../helpers/guestctl.ts'
import { until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { agentProcesses, asRoot, guestdPid, openClient, run, seen } from './ask.ts'
import { restoreGuest } from './harness.ts'

const MIB = 1024 * 1024
/** systemd waits 100 ms, but Node's start takes seconds where instructions are translated. */
const RESTART_LIMIT_MS = 120_000

const guest = await restoreGuest(t)
t.comment(`guestd answered after ${(guest.bootMs / 1000).toFixed(1)} s`)
const client = openClient(t, guest)

/** Does what ends guestd, and waits until the next one answers. */
async function untilNext(t: Test, end: () => Promise<unknown>): Promise<void> {
  const { startedAt, bootId } = await client.session()
  await end()
  const began = performance.now()
  const isNext = async () => {
    const session = await client.session().catch(() => null)
    return session !== null && session.startedAt !== startedAt
  }
  await until(isNext, RESTART_LIMIT_MS)
  t.comment(`the next guestd answered after ${((performance.now() - began) / 1000).toFixed(1)} s`)
  t.equal((await client.session()).bootId, bootId, 'in the same boot')
}

/** Detached and a little later, so that its request is answered. */
const crash = (t: Test) =>
  untilNext(t, async () => {
    const kill = 'sleep 1; kill -KILL "$(systemctl show -P MainPID guestd)"; sleep 1000'
    await client.start({ command: kill, user: 'root' })
  })

/** In the guestd that runs now every limit is in force. */
async function testLimits(t: Test): Promise<void> {
  const pid = await guestdPid(client)
  const place = await asRoot(client, `cat /proc/${pid}/cgroup`)
  t.match(place, /\/guestd\.service\/supervisor\n$/, 'guestd is beside its commands')
  t.same(new Set((await client.session()).cgroup.limits), new Set(['memory', 'pids', 'cpu']))
  const limits = { memoryBytes: 32 * MIB, pids: 10, cpus: 0.5 }
  const devour = await run(client, { command: 'tail /dev/zero; echo survived', limits })
  t.match(devour, { cause: 'oom', out: '' })
  const command = `
    cat /sys/fs/cgroup"$(sed s/^0::// /proc/self/cgroup)"/cpu.max
    exec python3 -c 'import os
while os.fork(): pass
os._exit(0)'`
  const forks = await run(client, { command, limits })
  t.equal(forks.out, '50000 100000\n')
  t.match(forks.err, /Resource temporarily unavailable/)
}

t.test('limits are in force at first', testLimits)

t.test(
  'after a crash guestd restarts, and commands that ran are gone and reported as lost',
  async t => {
    await run(client, { id: 'done', command: 'exit 4' })
    const tree = [
      'echo x >> runs',
      'setsid sleep 1000 &',
      '( trap "" TERM HUP; while :; do sleep 0.2; done ) &',
      'bash -c "kill -STOP \\$\\$; sleep 1000" &',
      'echo up; sleep 1000; true',
    ]
    const request = { id: 'tree', command: tree.join('\n') }
    await client.start(request)
    await seen(client, 'tree', 'up')
    const args = ['run', '--id', 'watched', '--', 'echo up; sleep 1000']
    const watched = startGuestctl(args, { connect: guest.connect })
    await watched.untilOutput('up')
    t.ok((await agentProcesses(client)).length >= 6)

    await crash(t)
    t.same(await agentProcesses(client), [], 'no orphan is left')
    matchExactly(t, await client.inspect('tree'), { state: 'ended', cause: 'lost', exitCode: null })
    t.match(await client.inspect('done'), { state: 'ended', cause: 'exit', exitCode: 4 })
    t.match(await client.start(request), { id: 'tree' }, 'a repeated request is answered')
    t.match(await client.inspect('tree'), { state: 'ended', cause: 'lost' }, 'but not run again')
    t.equal((await run(client, { command: 'cat runs; rm runs' })).out, 'x\n')
    const { code, err } = await watched.ended
    t.equal(code, 125)
    t.match(err, /how it ended is not known|was lost|nothing in the guest listens/)
  },
)

t.test('limits are in force after a crash', testLimits)

t.test('limits are in force after another crash and a reload of systemd', async t => {
  await client.start({ command: 'while :; do sleep 0.1 & sleep 0.1; done', limits: { pids: 50 } })
  await crash(t)
  t.same(await agentProcesses(client), [])
  await asRoot(client, 'systemctl daemon-reload')
  await testLimits(t)
})

t.test('when systemd stops guestd, readers get their last frames', async t => {
  const polite = 'trap "echo last words; exit 3" TERM; echo up; while :; do sleep 0.1; done'
  const frames: Frame[] = []
  const reading = (async () => {
    for await (const frame of client.run({ id: 'polite', command: polite })) frames.push(frame)
  })()
  await seen(client, 'polite', 'up')
  const stubborn = 'trap "" TERM; echo up; while :; do sleep 0.1; done'
  await client.start({ id: 'stubborn', command: stubborn })
  await seen(client, 'stubborn', 'up')

  await untilNext(t, async () => {
    // In a unit of its own: what is in guestd's ends with it.
    // The socket too: a connection to it would start guestd again.
    const script = `systemctl stop guestd.socket guestd.service
      systemctl show -P Result -P ExecMainStatus -P ActiveState guestd >/run/stopped
      ps -u agent -o args= >>/run/stopped
      systemctl start guestd.socket guestd.service`
    await asRoot(client, `systemd-run --quiet bash -c '${script}'`)
    await reading
  })
  // bash may report on stderr that the sleep it waits for was terminated too.
  const shown = frames.flatMap(frame =>
    frame.type === 'output' && frame.stream === 'stdout' ? [frame.bytes] : [],
  )
  t.equal(Buffer.concat(shown).toString(), 'up\nlast words\n')
  const [exit, end] = frames.slice(-2)
  matchExactly(t, exit, { type: 'exit', cause: 'stopped', exitCode: 3, signal: null })
  t.match(end, { type: 'end', truncated: 0 })
  const result = await asRoot(client, 'cat /run/stopped')
  t.equal(result, 'success\n0\ninactive\n', 'guestd ended well and left no process')
  t.match(await client.inspect('polite'), { cause: 'stopped', exitCode: 3 })
  t.match(await client.inspect('stubborn'), { cause: 'stopped', signal: 'SIGKILL' })
})

t.test('limits are in force after a stop and a start', testLimits)
