/** Durations of the boot phases, by the guest's clocks. */

import { createClient } from '../src/client/index.ts'

export interface BootPhases {
  /** From the kernel's first line to systemd's: drivers and the root file system. */
  kernelMs: number
  /** From there until guestd is started. */
  systemdMs: number
  /** guestd's own start, until it serves with the workspace there. */
  guestdMs: number
  /** A first `bash -c true`, from the request to its end, as the host sees it. */
  firstCommandMs: number
}

/** systemd's clock, the kernel's CLOCK_MONOTONIC since its own start: systemctl(1), `show`. */
const TIMES = `
until [ "$(systemctl show -P ActiveState guestd)" = active ]; do sleep 0.1; done
systemctl show -P UserspaceTimestampMonotonic
systemctl show -P ExecMainStartTimestampMonotonic guestd
systemctl show -P ActiveEnterTimestampMonotonic guestd`

/**
 * Runs the first command of a machine that has just booted, and asks systemd.
 * @throws Error if root may not be asked for, or the machine has no systemd
 */
export async function measureBoot(connect: string): Promise<BootPhases> {
  const client = createClient({ connect })
  try {
    const began = performance.now()
    await client.run({ command: 'true' }).collect()
    const firstCommandMs = performance.now() - began
    const { stdout } = await client.run({ command: TIMES, user: 'root', cwd: '/' }).collect()
    const [userspace, started, ready] = stdout.toString().trim().split('\n').map(microsToMs)
    if (userspace === undefined || started === undefined || ready === undefined) {
      throw new Error(`systemd did not report its timestamps: ${stdout}`)
    }
    return {
      kernelMs: userspace,
      systemdMs: started - userspace,
      guestdMs: ready - started,
      firstCommandMs,
    }
  } finally {
    client.close()
  }
}

export function describePhases({
  kernelMs,
  systemdMs,
  guestdMs,
  firstCommandMs,
}: BootPhases): string {
  return [
    `kernel ${seconds(kernelMs)}`,
    `systemd ${seconds(systemdMs)}`,
    `guestd ready ${seconds(guestdMs)}`,
    `first command ${seconds(firstCommandMs)}`,
  ].join(', ')
}

const microsToMs = (text: string): number => Number(text) / 1_000
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`
