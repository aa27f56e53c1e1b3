import { existsSync, readdirSync } from 'node:fs'
import { globalAgent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { run, startGuestd, until } from '../../helpers/guestd.ts'
import { LONG } from '../../helpers/long.ts'
import { lookInto, PROBE_ARGS } from '../../helpers/probe.ts'
import { childrenOf, openFds, statusField } from '../../helpers/processes.ts'
import { containmentOf, inspect, MIB, mark, remove } from './support.ts'

const COMMANDS = LONG ? 10_000 : 2_000
const AT_ONCE = 8
/** As many before the first look: pools, caches and compiled code have their size then. */
const WARM_UP = 396
/** Few, so that what ended commands rightly hold is small beside a leak; twice each kind that is kept. */
const KEEP_COMMANDS = 22

/** What malloc keeps between buffers of many sizes; it levels off, after a few thousand commands. */
const FRAGMENTS_BYTES = 80 * MIB

const guestd = await startGuestd(t, {
  config: { killGraceMs: 100, reattachGraceMs: 100, output: { keepCommands: KEEP_COMMANDS } },
  nodeArgs: PROBE_ARGS,
})
const { env, living } = mark(t)
const { path: cgroupPath } = await containmentOf(guestd)

/** The ways in which a command comes and goes; each has to end by itself. */
const kinds: readonly ((id: string) => Promise<unknown>)[] = [
  id => run(guestd, { id, command: 'echo out; echo err >&2', env }),
  id => run(guestd, { id, argv: ['./no-such-program'], env }),
  id => run(guestd, { id, command: 'head -c 300000 /dev/zero | tr "\\0" x', env }),
  async id => {
    const body = { id, command: 'setsid sleep 1000 & sleep 1000', detach: true, env }
    await guestd.request('POST', '/v1/commands', { body })
    await remove(guestd, id)
  },
  async id => {
    const stream = await openRun(guestd, { id, argv: ['cat'], stdin: 'open', env })
    await guestd.request('POST', `/v1/commands/${id}/stdin?eof=true`, { body: 'input' })
    await stream.rest()
  },
  async id => {
    const body = { id, command: 'echo up; sleep 1000', onDisconnect: 'kill', env }
    const stream = await openRun(guestd, body)
    await stream.seen('up')
    stream.cut()
  },
  async id => {
    const stream = await openRun(guestd, { id, command: 'yes | head -c 1000000', env })
    await stream.upTo('output')
    stream.cut()
  },
  id => run(guestd, { id, command: 'sleep 1000 & exit 3', background: 'kill', env }),
  id => run(guestd, { id, command: 'sleep 1000', timeoutMs: 30, env }),
  id => run(guestd, { id, argv: ['true'], cwd: '/no/such/folder' }).catch(() => null),
  async id => {
    const body = { id, command: 'true', env }
    await Promise.all([run(guestd, body), run(guestd, body)])
  },
  id => run(guestd, { id, argv: ['cat'], stdin: 'open', timeoutMs: 30, env }),
]

let next = 0

async function runMany(count: number): Promise<void> {
  const last = next + count
  const worker = async () => {
    while (next < last) {
      const index = next++
      await kinds[index % kinds.length]?.(`leak-${index}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  // Also those whose stream was cut have ended then.
  await until(async () => {
    const { commands } = (await guestd.request('GET', '/v1/commands?state=running')).json()
    return Array.isArray(commands) && commands.length === 0
  })
  await until(() => living().length === 0)
  // The longest grace of any of them, and the sweep that forgets what is too much.
  await sleep(1_500)
}

const leaves = () =>
  cgroupPath !== null && existsSync(cgroupPath)
    ? readdirSync(cgroupPath).filter(name => name.startsWith('command-'))
    : []

/** Looks again while a request of a timer is under way: guestd looks at its state every 2 s. */
async function lookAtRest() {
  let found = await look()
  for (let more = 0; more < 5 && 'FSReqCallback' in found.counted.resources; more += 1) {
    await sleep(300)
    found = await look()
  }
  return found
}

async function look() {
  // The connections that this process keeps for its next requests are not guestd's.
  globalAgent.destroy()
  await sleep(200)
  const insight = await lookInto(guestd)
  return {
    insight,
    counted: {
      fds: openFds(guestd.pid),
      threads: Number(statusField(guestd.pid, 'Threads')),
      children: childrenOf(guestd.pid).length,
      leaves: leaves().length,
      resources: insight.resources,
    },
  }
}

t.test(`${COMMANDS} commands of all kinds leave nothing behind`, async t => {
  await runMany(WARM_UP)
  const before = await lookAtRest()
  t.same([before.counted.children, before.counted.leaves], [0, 0])
  await runMany(COMMANDS)
  const after = await lookAtRest()
  t.same(after.counted, before.counted, 'descriptors, threads, processes, cgroups, timers, sockets')
  const growth = (of: 'heapUsed' | 'arrayBuffers' | 'rss') => after.insight[of] - before.insight[of]
  const inKiB = (bytes: number) => `${Math.round(bytes / 1024)} KiB`
  t.ok(growth('heapUsed') < 3 * MIB, `heap grew by ${inKiB(growth('heapUsed'))}`)
  t.ok(growth('arrayBuffers') < 3 * MIB, `buffers grew by ${inKiB(growth('arrayBuffers'))}`)
  t.ok(growth('rss') < FRAGMENTS_BYTES, `resident memory grew by ${inKiB(growth('rss'))}`)
  t.notMatch(guestd.log(), /MaxListenersExceeded|"level":"(error|fatal)"/)
})

t.test('ended commands are forgotten, the oldest first', async t => {
  const { commands } = (await guestd.request('GET', '/v1/commands')).json()
  t.equal(Array.isArray(commands) && commands.length, KEEP_COMMANDS)
  t.equal((await inspect(guestd, 'leak-0')).code, 'command_not_found')
  t.match(await inspect(guestd, `leak-${next - 1}`), { state: 'ended' })
})
