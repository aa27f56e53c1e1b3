/** Hosts that connect while the machine boots: each connection that is accepted is served. */

import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { GuestdClient } from '../../src/client/index.ts'
import { describePhases, measureBoot } from '../../vm/boot-phases.ts'
import { until } from '../helpers/guestd.ts'
import { asRoot, openClient } from './ask.ts'
import { bootGuest, type Guest } from './harness.ts'
import { type Answer, knock, openConnection, runOver } from './once.ts'

const AT_ONCE = 8
/** Between two of those who come while guestd starts. */
const COME_EVERY_MS = 500
/** More come than a listener without a backlog of its own could hold. */
const LATE_COMERS = 4
/** A boot on a busy host. */
const BOOT_LIMIT_MS = 300_000

t.setTimeout(4 * BOOT_LIMIT_MS)

/** systemd's clock in microseconds: systemctl(1). */
async function clocks(client: GuestdClient) {
  const asked = ['guestd.socket', 'guestd.service'].map(
    unit => `systemctl show -P ActiveEnterTimestampMonotonic ${unit}`,
  )
  const [listening = 0, ready = 0] = (await asRoot(client, asked.join('; ')))
    .trim()
    .split('\n')
    .map(Number)
  return { listening, ready }
}

/** Times of guestd's own log: when it was ready, each time. */
async function readyTimes(client: GuestdClient): Promise<number[]> {
  const lines = (await asRoot(client, 'journalctl -u guestd -o cat --no-pager')).split('\n')
  return lines
    .filter(line => line.includes('"msg":"serving"'))
    .map(line => Date.parse(JSON.parse(line).time))
}

const startOf = ({ frames }: Answer): number => Date.parse(String(frames[0]?.startedAt))

const echo = (socket: Socket, word: string) => runOver(socket, { command: `echo ${word}` })

function allServed(t: Test, answers: readonly Answer[]): void {
  for (const [index, { status, stdout, exit, frames }] of answers.entries()) {
    t.match(
      { status, stdout, exit },
      { status: 200, stdout: `${index}\n`, exit: { cause: 'exit', exitCode: 0 } },
    )
    t.match(frames.at(-1), { type: 'end', truncated: 0 })
  }
}

/** guestd is started once the host has said so on this port. */
const GATE_PORT = 1022
const GATED = {
  '/etc/gate.py': `import socket
gate = socket.socket(socket.AF_VSOCK)
gate.bind((socket.VMADDR_CID_ANY, ${GATE_PORT}))
gate.listen()
gate.accept()
`,
  '/etc/systemd/system/gate.service': `[Unit]
DefaultDependencies=no
After=guestd.socket
Before=guestd.service
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /etc/gate.py
`,
  '/etc/systemd/system/guestd.service.d/gate.conf': '[Unit]\nWants=gate.service\n',
}

t.test('a request sent before guestd starts waits and is served', async t => {
  const guest = await bootGuest(t, { waitForGuestd: false, overlay: GATED })
  const first = await knock(guest.connect)
  const others = await Promise.all(
    Array.from({ length: AT_ONCE - 1 }, () => openConnection(guest.connect)),
  )
  const served = Promise.all([first.socket, ...others].map((socket, i) => echo(socket, `${i}`)))
  served.catch(() => {})
  const gate = await knock(guest.connect.replace(/\d+$/, String(GATE_PORT)))
  gate.socket.destroy()
  allServed(t, await served)

  const client = openClient(t, guest)
  await whenUp(client)
  const { listening, ready } = await clocks(client)
  t.ok(listening > 0 && listening < ready, `listened after ${listening} µs, ready after ${ready}`)
  t.equal((await readyTimes(client)).length, 1)
})

t.test('none is refused from the first moment that one is let in', async t => {
  const guest = await bootGuest(t, { waitForGuestd: false })
  const first = await knock(guest.connect)
  t.comment(`${first.refused} attempts came before the socket`)
  const sockets = await Promise.all(
    Array.from({ length: AT_ONCE - 1 }, () => openConnection(guest.connect)),
  )
  const early = [first.socket, ...sockets].map((socket, index) => echo(socket, `${index}`))
  const late = Array.from({ length: LATE_COMERS }, async (_, index) => {
    await new Promise(resolve => setTimeout(resolve, (index + 1) * COME_EVERY_MS))
    return await echo(await openConnection(guest.connect), `${AT_ONCE + index}`)
  })
  const answers = await Promise.all([...early, ...late])
  allServed(t, answers)

  const client = openClient(t, guest)
  await whenUp(client)
  const { listening, ready } = await clocks(client)
  t.ok(listening > 0 && listening < ready, 'by the guest’s own clock the socket was there first')
  const times = await readyTimes(client)
  t.equal(times.length, 1, 'guestd was ready once')
  const firstStart = Math.min(...answers.map(startOf))
  t.comment(`the socket listened ${(ready - listening) / 1_000} ms before guestd was ready`)
  t.comment(`the first command started ${firstStart - (times[0] ?? 0)} ms after that`)
  await testPhases(t, guest, client)
})

/** The parts of a boot, and the sum that systemd gives for the first three. */
async function testPhases(t: Test, guest: Guest, client: GuestdClient): Promise<void> {
  const phases = await measureBoot(guest.connect)
  t.comment(describePhases(phases))
  const { kernelMs, systemdMs, guestdMs, firstCommandMs } = phases
  for (const [name, ms] of Object.entries(phases)) t.ok(ms > 0, `${name}: ${ms}`)
  const { listening, ready } = await clocks(client)
  t.equal(Math.round(kernelMs + systemdMs + guestdMs), Math.round(ready / 1_000))
  t.ok(kernelMs < listening / 1_000, 'the kernel was up before the socket')
  const uptimeMs = Number((await asRoot(client, 'cut -d" " -f1 /proc/uptime')).trim()) * 1_000
  t.ok(kernelMs + systemdMs + guestdMs + firstCommandMs < uptimeMs, 'all of it is in the past')
}

/** systemd has read the notification of guestd. */
async function whenUp(client: GuestdClient): Promise<void> {
  const up = async () =>
    (await asRoot(client, 'systemctl show -P ActiveState guestd')) === 'active\n'
  await until(up, BOOT_LIMIT_MS)
}
