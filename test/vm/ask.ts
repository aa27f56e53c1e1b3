/** What tests ask of a booted guest, by guestd/client. */

import type { Test } from 'tap'
import {
  type CollectedResult,
  createClient,
  type GuestdClient,
  type RunRequest,
  type SessionInfo,
} from '../../src/client/index.ts'
import { until } from '../helpers/guestd.ts'
import type { Guest } from './harness.ts'

/** A guest that is busy, on a host that is busy, still gets there. */
const SETTLE_LIMIT_MS = 60_000

export interface Outcome extends CollectedResult {
  readonly out: string
  readonly err: string
}

/** @param connect default: the guest's guestd on its own port */
export function openClient(t: Test, guest: Guest, connect = guest.connect): GuestdClient {
  const client = createClient({ connect })
  t.teardown(() => client.close())
  return client
}

/** Runs a command to its end. @param maxBytes kept of each stream; default 1 MiB */
export async function run(
  client: GuestdClient,
  request: RunRequest,
  maxBytes?: number,
): Promise<Outcome> {
  const result = await client.run(request).collect(maxBytes === undefined ? {} : { maxBytes })
  return { ...result, out: result.stdout.toString(), err: result.stderr.toString() }
}

/** Runs a script as root to its end, and gives what it printed. */
export async function asRoot(client: GuestdClient, command: string): Promise<string> {
  const { out, err, exitCode } = await run(client, { command, user: 'root' })
  if (exitCode !== 0) throw new Error(`${command}: ${exitCode}: ${err}`)
  return out
}

/** Mounts a disk of the machine, read-only, by the serial number that the machine was given it with. */
export async function mountDisk(client: GuestdClient, serial: string, at: string): Promise<void> {
  // A disk that was plugged in comes a moment later.
  const script = `
    for attempt in {1..600}; do
      for block in /sys/block/vd*; do
        [ "$(cat "$block/serial")" != ${serial} ] || device=/dev/\${block##*/}
      done
      [ -z "$device" ] || break
      sleep 0.1
    done
    mkdir -p ${at} && mount -t ext4 -o ro "$device" ${at}`
  await asRoot(client, script)
}

/** The process that systemd has as guestd. */
export async function guestdPid(client: GuestdClient): Promise<number> {
  return Number(await asRoot(client, 'systemctl show -P MainPID guestd'))
}

/** Command lines of the live processes of the user `agent`, as `ps` lists them for root. */
export async function agentProcesses(client: GuestdClient): Promise<string[]> {
  // ps ends with 1 where it lists nothing.
  const listed = await asRoot(client, 'ps -u agent -o stat=,args= || true')
  return listed.split('\n').filter(line => line !== '' && !line.startsWith('Z'))
}

/** Waits until the workspace is mounted, and returns the session. guestd already serves while it repairs the volume. */
export async function mounted(client: GuestdClient): Promise<SessionInfo> {
  await until(async () => (await client.session()).workspace.ok, SETTLE_LIMIT_MS)
  return await client.session()
}

/** Waits until a command shows a text in its output. */
export async function seen(client: GuestdClient, id: string, text: string): Promise<void> {
  const shown: Uint8Array[] = []
  for await (const frame of client.output(id, { follow: true })) {
    if (frame.type === 'output') shown.push(frame.bytes)
    if (Buffer.concat(shown).includes(text)) return
  }
  throw new Error(`${id} ended without ${text}: ${Buffer.concat(shown)}`)
}

/** Whether a command has written the text so far, within one frame, to either stream. */
export async function hasWritten(client: GuestdClient, id: string, text: string): Promise<boolean> {
  for await (const frame of client.output(id)) {
    if (frame.type === 'output' && Buffer.from(frame.bytes).includes(text)) return true
  }
  return false
}

/** Waits until a command has ended. */
export async function ended(client: GuestdClient, id: string): Promise<void> {
  await until(async () => (await client.inspect(id)).state === 'ended', SETTLE_LIMIT_MS)
}

/** Asks guestd whether it lives, again and again until the work is done; its slowest answer, in ms. */
export async function slowestAnswer(client: GuestdClient, work: Promise<unknown>): Promise<number> {
  let working = true
  const done = work.finally(() => {
    working = false
  })
  let slowest = 0
  while (working) {
    const began = performance.now()
    await client.health()
    slowest = Math.max(slowest, performance.now() - began)
    await Promise.race([done, new Promise(resolve => setTimeout(resolve, ASK_EVERY_MS))])
  }
  await done
  return slowest
}

const ASK_EVERY_MS = 200
