import { readFileSync } from 'node:fs'
import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { type Guestd, run, startGuestd } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { statusField } from '../../helpers/processes.ts'

const session = async (on: Guestd) => (await on.request('GET', '/v1/session')).json()
const start = (on: Guestd, body: object) => on.request('POST', '/v1/commands', { body })

/** Soft and hard limit of open files of a process. */
const nofileOf = (pid: number) =>
  / open files +(\d+) +(\d+)/
    .exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))
    ?.slice(1)
    .map(Number)

const guestd = await startGuestd(t)
const { cgroup } = (await session(guestd)) as { cgroup: { mode: string; limits: string[] } }

t.test('the limit of open files holds for the command and its children', async t => {
  const command = 'ulimit -Sn; ulimit -Hn; bash -c "ulimit -n"; ulimit -n 5000 2>&- || echo refused'
  const { stdout } = await run(guestd, {
    command,
    limits: { nofile: 64 },
    user: 'nobody',
    cwd: '/',
  })
  t.equal(stdout, '64\n64\n64\nrefused\n')
  const open = 'for ((i = 3; i < 200; i++)); do eval "exec $i</dev/null" || exit 9; done'
  const { exit, stderr } = await run(guestd, { command: open, limits: { nofile: 64 } })
  t.equal(exit.exitCode === 0, false)
  t.match(stderr, /Too many open files|Bad file descriptor/)
})

t.test('more open files than guestd may have take the right to raise limits', async t => {
  const hard = nofileOf(guestd.pid)?.[1] ?? 0
  const nofile = hard + 1
  // CAP_SYS_RESOURCE of capabilities(7).
  const mayRaise = (BigInt(`0x${statusField(guestd.pid, 'CapEff')}`) & (1n << 24n)) !== 0n
  const body = { command: 'ulimit -Hn', limits: { nofile } }
  if (mayRaise) {
    t.equal((await run(guestd, body)).stdout, `${nofile}\n`)
    return
  }
  const refused = await guestd.request('POST', '/v1/commands', { body })
  t.equal(refused.status, 422)
  t.match(refused.json(), { code: 'limit_unavailable', field: 'limits.nofile' })
})

t.test('configured limits are those of commands that ask for none', async t => {
  const limited = await startGuestd(t, { config: { limits: { nofile: 99 } } })
  t.equal((await run(limited, { command: 'ulimit -n' })).stdout, '99\n')
  const asked = await run(limited, { command: 'ulimit -n', limits: { nofile: 77 } })
  t.equal(asked.stdout, '77\n')
  t.match(await session(limited), { limits: { nofile: 99 } })
})

t.test('the session has the containment of commands and the limits in force', async t => {
  const info = await session(guestd)
  const mounted = readFileSync('/proc/self/mountinfo', 'utf8').includes(' - cgroup2 ')
  matchExactly(t, info, {
    state: 'ready',
    cgroup: { mode: mounted ? 'cgroup2' : 'group' },
    limits: { maxCommands: 256, memoryBytes: null, pids: null, cpus: null, nofile: null },
  })
  t.ok(cgroup.limits.every(limit => ['memory', 'pids', 'cpu'].includes(limit)))
  const { stdout } = await run(guestd, { argv: ['cat', '/proc/self/cgroup'] })
  const place = stdout.split('\n').find(line => line.startsWith('0::')) ?? ''
  if (mounted) t.match(place, /\/guestd-[^/]+\/commands\/command-[^/]+$/)
})

t.test('a limit that cannot be kept here is refused, and nothing is started', async t => {
  const cases = [
    ['memoryBytes', 'memory', 64 * 1024 * 1024],
    ['pids', 'pids', 20],
    ['cpus', 'cpu', 0.5],
  ] as const
  for (const [field, controller, value] of cases) {
    const reply = await start(guestd, { id: field, command: 'true', limits: { [field]: value } })
    if (cgroup.limits.includes(controller)) {
      t.equal(reply.status, 200, `${field} can be kept here`)
      continue
    }
    t.equal(reply.status, 422, reply.text)
    t.match(reply.json(), { code: 'limit_unavailable', field: `limits.${field}` })
    t.equal((await guestd.request('GET', `/v1/commands/${field}`)).status, 404)
  }
})

t.test('more commands than may run at once are refused until one has ended', async t => {
  const two = await startGuestd(t, { config: { maxCommands: 2 } })
  const long = (id: string) => ({ id, command: 'sleep 100', detach: true })
  t.equal((await start(two, long('a'))).status, 202)
  const b = await openRun(two, { id: 'b', command: 'echo up; sleep 100' })
  await b.seen('up')
  const refused = await start(two, long('c'))
  t.equal(refused.status, 429, refused.text)
  t.match(refused.json(), { code: 'too_many_commands' })
  t.equal((await two.request('GET', '/v1/commands/c')).status, 404)
  t.match(await session(two), { commands: { running: 2, ended: 0 }, limits: { maxCommands: 2 } })
  t.equal((await start(two, long('a'))).status, 202, 'what runs can still be asked for')
  await two.request('DELETE', '/v1/commands/a')
  t.equal((await start(two, long('c'))).status, 202)
  t.equal((await start(two, long('d'))).status, 429)
  await two.request('DELETE', '/v1/commands/b')
  await b.rest()

  // One that left processes behind goes on counting: these are what the limit is about.
  const left = await run(two, { id: 'left', command: 'sleep 100 & true' })
  t.equal(left.end.descendants, 1)
  t.equal((await start(two, long('e'))).status, 429)
  await two.request('DELETE', '/v1/commands/left')
  t.equal((await start(two, long('e'))).status, 202)
})

t.test('as many as may start at once do, and no more', async t => {
  const maxCommands = 10
  const ten = await startGuestd(t, { config: { maxCommands } })
  const replies = await Promise.all(
    Array.from({ length: 30 }, () => start(ten, { command: 'sleep 100', detach: true })),
  )
  const count = (status: number) => replies.filter(reply => reply.status === status).length
  t.same([count(202), count(429)], [maxCommands, 30 - maxCommands])
})
