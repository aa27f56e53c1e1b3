import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import {
  agentProcesses,
  asRoot,
  ended,
  guestdPid,
  hasWritten,
  openClient,
  run,
  seen,
  slowestAnswer,
} from './ask.ts'
import { bootGuest } from './harness.ts'

const MIB = 1024 * 1024
/** Little, so that all of it is soon used up. */
const MEMORY_MIB = 512
/** Slower is hung: on a busy host an answer takes seconds, a machine that thrashes takes minutes. */
const ANSWER_LIMIT_MS = 60_000
/** As `reserve.pids` has it by default. */
const RESERVED_TASKS = 256
/** Takes memory without end. */
const DEVOUR = 'perl -e \'push @got, "x" x 4194304 while 1\''
/** The cgroup of the process that reads it. */
const OWN_CGROUP = '/sys/fs/cgroup"$(sed s/^0::// /proc/self/cgroup)"'

const guest = await bootGuest(t, { memoryMiB: MEMORY_MIB })
t.comment(`guestd answered after ${(guest.bootMs / 1000).toFixed(1)} s`)
const client = openClient(t, guest)
const pid = await guestdPid(client)

t.test('the session has commands in cgroups with every limit', async t => {
  const { cgroup } = await client.session()
  t.equal(cgroup.mode, 'cgroup2')
  t.same(new Set(cgroup.limits), new Set(['memory', 'pids', 'cpu']))
})

t.test('a command is agent’s unless root is asked for', async t => {
  const command = 'echo "$(id -u) $(id -G) $USER $LOGNAME $HOME $SHELL"; pwd; echo ~'
  const agent = await run(client, { command })
  t.equal(agent.out, '1000 1000 agent agent /home/agent /bin/bash\n/mnt/workspace\n/home/agent\n')
  const root = await run(client, { command, user: 'root' })
  t.equal(root.out, '0 0 root root /root /bin/bash\n/root\n/root\n')
})

t.test('a command has three descriptors, none of them guestd’s', async t => {
  const { out } = await run(client, { argv: ['bash', '-c', 'exec ls -l /proc/self/fd'] })
  const targets = out.split('\n').flatMap(line => / (\d+ -> .*)/.exec(line)?.[1] ?? [])
  // The fourth is the folder that ls itself reads.
  t.equal(targets.length, 4)
  matchExactly(t, targets, [
    '0 -> /dev/null',
    /^1 -> pipe:/,
    /^2 -> pipe:/,
    /^3 -> \/proc\/\d+\/fd$/,
  ])
})

t.test('agent can neither signal guestd nor look into it', async t => {
  for (const signal of ['0', 'STOP', 'KILL']) {
    const { out, err, exitCode } = await run(client, { command: `kill -${signal} ${pid}` })
    t.match({ out, err, exitCode }, { out: '', err: /not permitted/, exitCode: 1 }, signal)
  }
  // What ptrace(2) asks, /proc/PID/mem asks too: PTRACE_MODE_ATTACH (proc(5)).
  for (const [look, denied] of [
    [`exec 3<>/proc/${pid}/mem`, /mem: Permission denied/],
    [`cat /proc/${pid}/environ`, /environ: Permission denied/],
    [`ls /proc/${pid}/fd`, /fd.*: Permission denied/],
  ] as const) {
    const { exitCode, err } = await run(client, { command: look })
    t.not(exitCode, 0)
    t.match(err, denied)
    t.match(await run(client, { command: look, user: 'root' }), { exitCode: 0 }, 'root may')
  }
  t.equal(await guestdPid(client), pid)
})

t.test('agent can write no cgroup, its own neither', async t => {
  const writable = 'find /sys/fs/cgroup -writable'
  t.match(await run(client, { command: writable }), { exitCode: 0, out: '', err: '' })
  t.match(await run(client, { command: writable, user: 'root' }), { out: /cgroup\.procs/ })
  const attempts = [
    `echo max > ${OWN_CGROUP}/memory.max`,
    `echo $$ > ${OWN_CGROUP}/../../../supervisor/cgroup.procs`,
    `echo $$ > /sys/fs/cgroup/cgroup.procs`,
    `mkdir ${OWN_CGROUP}/nested`,
  ]
  for (const command of attempts) {
    const outcome = await run(client, { command, limits: { memoryBytes: 64 * MIB } })
    t.match(outcome, { exitCode: 1, err: /Permission denied/ }, command)
  }
})

t.test('past its memory limit a command ends with cause oom, all of it', async t => {
  const limits = { memoryBytes: 64 * MIB }
  const within = `cat ${OWN_CGROUP}/memory.max; head -c 20M /dev/zero | tail -c 10M | wc -c`
  t.match(await run(client, { command: within, limits }), {
    exitCode: 0,
    out: `${64 * MIB}\n${10 * MIB}\n`,
  })
  const past = `sleep 1000 & echo before; head -c 400M /dev/zero | tail; echo survived`
  const outcome = await run(client, { command: past, limits })
  matchExactly(t, outcome, { cause: 'oom', signal: 'SIGKILL', exitCode: null, descendants: 0 })
  t.equal(outcome.oomScope, 'command')
  // The kernel counts what was charged to the cgroup, which never passes its limit.
  const { maxRssBytes } = outcome
  t.ok(maxRssBytes !== null && maxRssBytes > 32 * MIB && maxRssBytes <= 64 * MIB, `${maxRssBytes}`)
  t.equal(outcome.out, 'before\n')
  const { code, err } = await guest.guestctl(['run', '--memory', '64M', '--', DEVOUR])
  t.equal(code, 128 + 9)
  t.match(err, /it reached its memory limit: give it more with --memory/)
  t.equal(await guestdPid(client), pid)
})

t.test('inspect has the usage of a command', async t => {
  const spend = 'python3 -c \'got = b"x" * (30 << 20); print("up", flush=True); input()\''
  const command = client.run({ command: `${spend}; true`, stdin: 'open' })
  await seen(client, command.id, 'up')
  const { state, usage, proof } = await client.inspect(command.id)
  t.match({ state, proof }, { state: 'running', proof: 'cgroup' })
  t.equal(usage?.pids, 2, 'bash and python3')
  const { memoryBytes, cpuMs } = usage ?? {}
  t.ok(memoryBytes && memoryBytes > 30 * MIB && memoryBytes < 60 * MIB, `${memoryBytes} B`)
  t.ok(cpuMs && cpuMs > 10, `${cpuMs} ms`)
  await command.stdin.write('\n')
  const { exitCode } = await command.collect()
  t.equal(exitCode, 0)
  t.equal((await client.inspect(command.id)).usage, null, 'what has ended uses nothing')
})

t.test('a command gets no more processor time than its limit', async t => {
  const spin = `end=$((SECONDS + 4)); while ((SECONDS < end)); do :; done; cat ${OWN_CGROUP}/cpu.stat`
  const share = async (cpus?: number) => {
    const limits = cpus === undefined ? {} : { limits: { cpus } }
    const { cpuMs, durationMs, out, exitCode } = await run(client, { command: spin, ...limits })
    t.equal(exitCode, 0)
    const throttled = Number(/nr_throttled (\d+)/.exec(out)?.[1])
    return { used: (cpuMs ?? 0) / durationMs, throttled }
  }
  const free = await share()
  t.comment(`without: ${free.used.toFixed(2)} of a processor`)
  t.equal(free.throttled, 0)
  const limited = await share(0.2)
  t.comment(`with 0.2: ${limited.used.toFixed(2)} of a processor, ${limited.throttled} times held`)
  t.ok(limited.throttled > 5)
  t.ok(limited.used > 0.05 && limited.used < 0.3, 'near the quota')
  t.ok(limited.used < free.used, 'and less than without it')
})

t.test('a fork bomb under a pids limit leaves guestd answering, and DELETE ends it', async t => {
  const pids = 100
  const { id } = await client.start({ command: ':(){ :|:& };:', limits: { pids } })
  const { path } = (await client.session()).cgroup
  const leaf = `${path}/command-${id}`
  const held = async () =>
    Number(/max (\d+)/.exec(await asRoot(client, `cat ${leaf}/pids.events`))?.[1]) > 0
  const slowest = await slowestAnswer(
    client,
    until(held, 30_000).then(() => sleep(2_000)),
  )
  t.comment(`slowest answer ${slowest.toFixed(0)} ms`)
  t.ok(slowest < ANSWER_LIMIT_MS, `${slowest} ms`)
  const alive = (await agentProcesses(client)).length
  t.ok(alive > 10 && alive <= pids, `${alive} processes`)
  const ended = await run(client, { command: 'echo beside' })
  t.equal(ended.out, 'beside\n', 'other commands go on')
  t.same(await client.kill(id), { id, empty: true, proof: 'cgroup', moved: [] })
  t.same(await agentProcesses(client), [])
  t.equal(await asRoot(client, `ls -d ${leaf} 2>&1 || true`).then(out => /No such/.test(out)), true)
  t.equal(await guestdPid(client), pid)
})

t.test('all commands together leave tasks to the rest of the machine', async t => {
  const { path } = (await client.session()).cgroup
  const files = `${path}/pids.max /proc/sys/kernel/pid_max /proc/sys/kernel/threads-max`
  const [max = 0, ...all] = (await asRoot(client, `cat ${files}`)).trim().split('\n').map(Number)
  t.ok(max > 0 && max <= Math.min(...all) - RESERVED_TASKS, `${max} of ${all}`)
})

t.test('a fork bomb without a limit leaves guestd answering, and DELETE ends it', async t => {
  const { id } = await client.start({ command: ':(){ :|:& };:; sleep 1000' })
  // Memory may run out before tasks do, and then the bomb is gone already.
  const isHeld = async () => {
    if ((await client.inspect(id)).cause === 'oom') return true
    return await hasWritten(client, id, 'Resource temporarily unavailable')
  }
  const slowest = await slowestAnswer(client, until(isHeld, 120_000))
  const { cause, usage } = await client.inspect(id)
  t.comment(`slowest answer ${slowest.toFixed(0)} ms; ${cause} ${JSON.stringify(usage)}`)
  t.ok(slowest < ANSWER_LIMIT_MS, `${slowest} ms`)
  t.match(await client.kill(id), { empty: true, proof: 'cgroup' })
  t.same(await agentProcesses(client), [])
  t.equal(await guestdPid(client), pid)
})

t.test('a process that stops all that it may is ended by its timeout', async t => {
  const stopper = run(client, {
    command: 'echo up; while :; do kill -STOP -1; done',
    timeoutMs: 6_000,
  })
  const beside = async () => {
    // Its user is the stopper's: it may be stopped in its launch, or later, and has to end as well.
    const agents = run(client, { command: 'echo through', timeoutMs: 4_000 })
    const roots = await run(client, { command: 'echo untouched', user: 'root' })
    t.equal(roots.out, 'untouched\n')
    return await agents
  }
  await sleep(1_000)
  const both = Promise.all([stopper, beside()])
  const slowest = await slowestAnswer(client, both)
  t.comment(`slowest answer ${slowest.toFixed(0)} ms`)
  t.ok(slowest < ANSWER_LIMIT_MS, `${slowest} ms`)
  const [stopped, agents] = await both
  t.match(stopped, { cause: 'timeout', descendants: 0, out: 'up\n' })
  t.comment(`a command of the same user: ${agents.cause} ${agents.stage}`)
  t.ok(['exit', 'timeout', 'spawn'].includes(agents.cause))
  t.equal((await run(client, { command: 'echo after' })).out, 'after\n')
  t.same(await agentProcesses(client), [])
})

t.test('DELETE ends a tree of all kinds, and answers when the guest has none of it', async t => {
  const command = [
    'setsid sleep 1000 &',
    '( ( setsid bash -c "trap \\"\\" TERM HUP; while :; do sleep 0.2; done" ) & ) &',
    '( trap "" TERM HUP INT; while :; do sleep 0.2; done ) &',
    'bash -c "kill -STOP \\$\\$; sleep 1000" &',
    '( trap "" TERM; while :; do ( sleep 0.1 ) & sleep 0.02; done ) &',
    "trap '' TERM; echo up; while :; do sleep 0.2; done",
  ].join('\n')
  const { id } = await client.start({ command })
  await seen(client, id, 'up')
  await until(async () => {
    const all = await agentProcesses(client)
    return all.length >= 7 && all.some(line => line.startsWith('T'))
  }, 30_000)
  t.same(await client.kill(id), { id, empty: true, proof: 'cgroup', moved: [] })
  t.same(await agentProcesses(client), [])
  t.match(await client.inspect(id), { cause: 'killed', signal: 'SIGKILL', descendants: 0 })
})

t.test('when the machine is out of memory the command goes, and never guestd', async t => {
  const { id: small } = await client.start({ command: 'echo up; sleep 1000; true' })
  await seen(client, small, 'up')
  for (const user of ['agent', 'root']) {
    const devouring = run(client, { command: DEVOUR, user, timeoutMs: 120_000 })
    const slowest = await slowestAnswer(client, devouring)
    const outcome = await devouring
    t.match(outcome, { cause: 'oom', signal: 'SIGKILL', descendants: 0 }, user)
    t.equal(outcome.oomScope, 'machine')
    t.comment(`${user}: ${outcome.durationMs} ms, slowest answer ${slowest.toFixed(0)} ms`)
    t.ok(slowest < ANSWER_LIMIT_MS, `${slowest} ms`)
  }
  t.equal(await guestdPid(client), pid)
  t.match(
    await client.inspect(small),
    { state: 'running' },
    'a command that used little memory continues',
  )
  await client.kill(small)
  await ended(client, small)
})

t.test('nothing of all this is left', async t => {
  const { path } = (await client.session()).cgroup
  const leaves = await asRoot(client, `find ${path} -mindepth 1 -type d | wc -l`)
  t.equal(leaves, '0\n')
  t.same(await agentProcesses(client), [])
})
