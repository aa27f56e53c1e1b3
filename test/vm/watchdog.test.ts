import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { agentProcesses, asRoot, guestdPid, openClient, run, seen } from './ask.ts'
import { restoreGuest } from './harness.ts'
import { knock, runOnce } from './once.ts'

/** As WatchdogSec of the unit has it. */
const WATCHDOG_LIMIT = 'limit 30s'
/** guestd looks at itself every 2 s. */
const STATUS_EVERY_MS = 3_000
const STATUS_LIMIT_MS = 60_000
const REQUESTS = 6
/** Between two requests, so that they meet an unserved socket at several moments. */
const SPREAD_MS = 100

const guest = await restoreGuest(t)
t.comment(`guestd answered after ${(guest.bootMs / 1000).toFixed(1)} s`)
const client = openClient(t, guest)

const show = async (unit: string, ...properties: string[]) =>
  (
    await asRoot(client, `systemctl show ${properties.map(name => `-P ${name}`).join(' ')} ${unit}`)
  ).trim()

/** What stays the same only where systemd holds the socket throughout. */
const socketOf = () => show('guestd.socket', 'InvocationID', 'ActiveEnterTimestampMonotonic')

/** Starts as a unit of its own what is to live on when guestd and all below it end. */
const asUnit = (script: string) =>
  asRoot(client, `systemd-run --quiet --collect bash -c '${script}'`)

/** Commands that differ in how they would escape a kill. */
const TREE = [
  'setsid sleep 1000 &',
  '( trap "" TERM HUP; while :; do sleep 0.2; done ) &',
  'bash -c "kill -STOP \\$\\$; sleep 1000" &',
  'echo up; sleep 1000; true',
].join('\n')

t.test('systemctl shows how guestd is, in one line that is kept', async t => {
  const rest = 'workspace /mnt/workspace$'
  await untilStatus(t, new RegExp(`^Ready; serving fd:3; 0 commands running, \\d+ ended; ${rest}`))
  await client.start({ id: 'one', command: 'sleep 1000' })
  await untilStatus(t, new RegExp(`^Ready; serving fd:3; 1 command running, \\d+ ended; ${rest}`))
  await client.kill('one')
  await untilStatus(t, /; 0 commands running, /)
})

/** The question runs as a command, too: it is asked more rarely than guestd looks at itself. */
async function untilStatus(t: Test, wanted: RegExp): Promise<void> {
  let shown = ''
  const asked = async () => {
    await sleep(STATUS_EVERY_MS)
    shown = await show('guestd', 'StatusText')
    return wanted.test(shown)
  }
  await until(asked, STATUS_LIMIT_MS).catch(error => {
    throw new Error(`systemctl shows: ${shown}`, { cause: error })
  })
  t.match(shown, wanted)
}

t.test(
  'a guestd that hangs is ended by the watchdog, and the next one serves who waited',
  async t => {
    const [before, socket, pid] = [
      await client.session(),
      await socketOf(),
      await guestdPid(client),
    ]
    await client.start({ id: 'tree', command: TREE })
    await seen(client, 'tree', 'up')
    await run(client, { command: 'echo flushed >flushed' })
    t.match(await client.flush(), { clean: true, errorsSince: 'mount' })
    await run(client, { command: 'echo unflushed >unflushed' })
    t.ok((await agentProcesses(client)).length >= 5)

    // guestd cannot be asked while it hangs: a port that opens shows that all its threads are stopped.
    const stop = `kill -STOP ${pid}
    while grep -L "^State:.T" /proc/${pid}/task/*/status | grep -q .; do sleep 0.1; done`
    await asUnit(`${stop}; ${LISTEN}`)
    const opened = await knock(guest.connect.replace(/\d+$/, STOPPED_PORT))
    opened.socket.destroy()
    const began = performance.now()
    const answers = await Promise.all(
      Array.from({ length: REQUESTS }, (_, index) =>
        runOnce(guest.connect, { id: `waits-${index}`, command: `echo served; echo >>served` }),
      ),
    )
    t.comment(`who waited was served after ${((performance.now() - began) / 1000).toFixed(1)} s`)
    for (const { status, stdout, exit } of answers) {
      t.match({ status, stdout, exit }, { status: 200, stdout: 'served\n', exit: { exitCode: 0 } })
    }
    t.equal((await run(client, { command: 'wc -l <served; rm served' })).out, `${REQUESTS}\n`)

    const after = await client.session()
    t.not(after.startedAt, before.startedAt)
    t.equal(after.bootId, before.bootId)
    const { generation, resumed, recovered } = before
    t.match(after, { generation, resumed, recovered, workspace: { ok: true } }, 'it is one start')
    const { out } = await run(client, { command: 'cat flushed unflushed; rm flushed unflushed' })
    t.equal(out, 'flushed\nunflushed\n', 'what was not flushed is there as well')
    // systemd has kept the descriptor: not one failed write between the two would have been missed.
    t.match(await client.flush(), { clean: true, generation, errorsSince: 'mount' })
    t.equal(await socketOf(), socket, 'the socket was never closed')
    t.equal(await show('guestd', 'NRestarts'), '1')
    const log = await asRoot(client, 'journalctl -u guestd -o cat --no-pager')
    t.ok(log.includes(`Watchdog timeout (${WATCHDOG_LIMIT})`))
    t.match(log, /Main process exited, code=killed, status=9\/KILL/)
    t.match(log, /Failed with result 'watchdog'/)
    t.same(await agentProcesses(client), [], 'no process is left of what ran')
    matchExactly(t, await client.inspect('tree'), { state: 'ended', cause: 'lost', exitCode: null })
  },
)

/** In the guest: opens a port for one connection. */
const STOPPED_PORT = '1022'
const LISTEN = `python3 -c "import socket; s = socket.socket(socket.AF_VSOCK); s.bind((socket.VMADDR_CID_ANY, ${STOPPED_PORT})); s.listen(); s.accept()"`

t.test('requests made the moment after guestd was killed are served, none is refused', async t => {
  const [before, socket] = [await client.session(), await socketOf()]
  await client.start({ id: 'doomed', command: TREE })
  await seen(client, 'doomed', 'up')
  const cut = runOnce(guest.connect, { id: 'watched', command: 'echo up; sleep 1000' })
  cut.catch(() => {})
  await seen(client, 'watched', 'up')
  await asUnit('sleep 1; kill -KILL $(systemctl show -P MainPID guestd)')
  // guestd's end is what cuts it.
  await t.rejects(cut)
  const began = performance.now()
  const answers = await Promise.all(
    Array.from({ length: REQUESTS }, async (_, index) => {
      await sleep(index * SPREAD_MS)
      return await runOnce(guest.connect, { id: `after-${index}`, command: 'echo served' })
    }),
  )
  t.comment(`all were served within ${((performance.now() - began) / 1000).toFixed(1)} s`)
  for (const { status, stdout, exit } of answers) {
    t.match({ status, stdout, exit }, { status: 200, stdout: 'served\n', exit: { exitCode: 0 } })
  }
  t.not((await client.session()).startedAt, before.startedAt)
  t.equal(await socketOf(), socket, 'the socket was never closed')
  t.same(await agentProcesses(client), [])
  t.match(await client.inspect('doomed'), { state: 'ended', cause: 'lost' })
})
