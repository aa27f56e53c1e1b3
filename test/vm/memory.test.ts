/** Memory that commands take where their limit does not see it, and that stays when they have ended. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { asRoot, guestdPid, mounted, openClient, run, seen, slowestAnswer } from './ask.ts'
import { restoreGuest } from './harness.ts'

const MIB = 1024 * 1024
/** Slower is hung: on a busy host an answer takes seconds, a machine that thrashes takes minutes. */
const ANSWER_LIMIT_MS = 60_000
/** Of a small command that needs a moment of its own on a busy host. */
const COMMAND_LIMIT_MS = 60_000
/** Takes memory of the kernel; `fixtures/memory.c`. */
const TOOL = '/home/agent/memory'

const guest = await restoreGuest(t)
const client = openClient(t, guest)
await mounted(client)
const pid = await guestdPid(client)
const { path: commandsPath } = (await client.session()).cgroup
await sendTool()

/** Compiled here, as the guest has no compiler. */
async function sendTool(): Promise<void> {
  const program = join(makeScratch(t), 'memory')
  const source = join(import.meta.dirname, 'fixtures/memory.c')
  execFileSync('gcc', ['-static', '-O1', '-o', program, source])
  const script = `cat >${TOOL} && chmod +x ${TOOL}`
  const { code } = await guest.guestctl(['run', '-i', '--', script], {
    input: readFileSync(program),
  })
  if (code !== 0) throw new Error(`the tool could not be sent: ${code}`)
}

/** A script that fills a folder in memory until it gets no more. */
function fill(folder: string): string {
  return `for ((i = 0; ; i++)); do fallocate -l 8M ${folder}/left$i || break; done`
}

/** A file of a cgroup that has one number. */
async function numberOf(file: string): Promise<number> {
  return Number(await asRoot(client, `cat ${file}`))
}

t.test('a user gets no network namespace, and the namespaces of rootless tools', async t => {
  const { out } = await run(client, { command: `${TOOL} rings` })
  t.equal(out, 'namespace: 0, ENOSPC\n')
  const rootless = 'unshare --user --map-root-user --mount --pid --ipc --uts --fork id -u'
  t.match(await run(client, { command: rootless }), { exitCode: 0, out: '0\n' })
})

t.test('guestd’s code counts in a cgroup of its own, which is protected', async t => {
  const supervisor = join(commandsPath ?? '', '../../supervisor')
  t.equal(await asRoot(client, `cat ${supervisor}/cgroup.procs`), `${pid}\n`)
  const own = await numberOf(`${supervisor}/memory.current`)
  t.ok(own > 50 * MIB, `${own} bytes`)
  t.ok((await numberOf(`${supervisor}/memory.min`)) > own, 'more than it has')
  t.ok((await numberOf(`${supervisor}/../memory.min`)) > own, 'and so around it')
})

t.test('kernel memory that is counted nowhere ends commands, and never guestd', async t => {
  const counted = `python3 -c 'got = b"x" * (400 << 20); print("up", flush=True); input()'`
  const { id } = await client.start({ command: counted, stdin: 'open' })
  await seen(client, id, 'up')
  const uncounted = run(client, { command: `${TOOL} netlink`, timeoutMs: 300_000 })
  const slowest = await slowestAnswer(client, uncounted)
  t.comment(`slowest answer ${slowest.toFixed(0)} ms`)
  t.ok(slowest < ANSWER_LIMIT_MS, `${slowest} ms`)
  const { cause, oomScope } = await uncounted
  t.same({ cause, oomScope }, { cause: 'oom', oomScope: 'machine' })
  t.equal(await guestdPid(client), pid)
  await client.kill(id)
})

t.test('what users can leave in memory is a part of what commands may take', async t => {
  const limit = await numberOf(`${commandsPath}/memory.max`)
  // While a command runs, nothing is removed.
  const { id } = await client.start({ command: 'sleep 1000' })
  for (const kind of ['segments', 'queues', 'semaphores']) {
    const { out } = await run(client, { command: `${TOOL} ${kind}` })
    t.match(out, new RegExp(`^${kind}: [1-9]\\d*, ENOSPC\n$`), kind)
  }
  for (const place of ['/dev/shm', '/tmp']) {
    const { err } = await run(client, { command: fill(place) })
    t.match(err, /No space left on device/, place)
  }
  const held = await numberOf(`${commandsPath}/memory.current`)
  t.comment(`${Math.round(held / MIB)} of ${Math.round(limit / MIB)} MiB`)
  t.ok(held < 0.9 * limit, `${held} of ${limit}`)
  t.ok(held > 0.5 * limit, 'all of it is still there')
  const { exitCode, out } = await run(client, { command: 'echo on', timeoutMs: COMMAND_LIMIT_MS })
  t.same({ exitCode, out }, { exitCode: 0, out: 'on\n' })
  await client.kill(id)
  await asRoot(client, 'rm /dev/shm/left* /tmp/left*; ipcrm --all')
})

t.test('the status has what files in memory take, and clear-tmp removes them', async t => {
  const before = (await client.session()).memory
  await run(client, { command: 'fallocate -l 16M /tmp/kept; fallocate -l 16M /dev/shm/kept' })
  const after = (await client.session()).memory
  if (before === null || after === null) throw new Error('no memory in the session')
  t.equal(after.limitBytes, await numberOf(`${commandsPath}/memory.max`))
  t.ok((after.rootFilesBytes ?? 0) >= (before.rootFilesBytes ?? 0) + 16 * MIB, 'files of the root')
  t.ok(after.leftBytes >= before.leftBytes + 32 * MIB, 'all of them')
  const { out } = await guest.guestctl(['status'])
  t.match(out, /^Memory: .* in use, .* by files in memory; files of \/ take .*$/m)
  const { id } = await client.start({ command: 'sleep 1000' })
  await t.rejects(client.clearTemporary(), { code: 'busy' })
  await client.kill(id)
  const cleared = await guest.guestctl(['clear-tmp'])
  t.match(cleared, { code: 0, out: /^\d+ files and folders removed, \d/ })
  t.equal(await asRoot(client, 'ls /tmp/kept /dev/shm/kept 2>&1 | grep -c "No such file"'), '2\n')
})

t.test('root’s commands have memory that those of others cannot take', async t => {
  const own = await asRoot(client, 'sed s/^0::// /proc/self/cgroup')
  t.equal(`/sys/fs/cgroup${own.split('/command-')[0]}`, join(commandsPath ?? '', '../rescue'))
  await asRoot(client, 'mount -o remount,size=100% /dev/shm')
  const limit = await numberOf(`${commandsPath}/memory.max`)
  const most = limit - (await numberOf(`${commandsPath}/memory.current`)) - 16 * MIB
  await run(client, { command: `fallocate -l ${most} /dev/shm/left; ${fill('/dev/shm')}` })
  t.ok((await numberOf(`${commandsPath}/memory.current`)) > 0.95 * limit, 'theirs is used up')
  await until(async () => !(await client.health()).ready, COMMAND_LIMIT_MS)
  matchExactly(t, (await client.health()).reasons, [
    {
      code: 'memory',
      message: /^memory: files in memory and shared memory hold \d+ of the \d+ MiB/,
    },
  ])
  const { out: status } = await guest.guestctl(['status', '--largest'])
  t.match(status, /^MEMORY +HELD BY$/m)
  t.match(status, /^[\d.]+ MiB +files in \/dev\/shm$/m)
  t.match(
    await run(client, {
      command: 'rm /dev/shm/left*',
      user: 'root',
      timeoutMs: COMMAND_LIMIT_MS,
    }),
    { exitCode: 0, cause: 'exit' },
  )
  t.ok((await numberOf(`${commandsPath}/memory.current`)) < 0.5 * limit)
  await until(async () => (await client.health()).ready, COMMAND_LIMIT_MS)
  const seenFull: boolean[] = []
  for await (const event of client.events()) if (event.type === 'memory') seenFull.push(event.full)
  t.same(seenFull, [true, false])
  t.equal((await run(client, { command: 'echo on' })).out, 'on\n')
})
