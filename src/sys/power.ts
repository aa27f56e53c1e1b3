/** Powers off and reboots the machine. */
import { existsSync } from 'node:fs'
import { runHelper } from './helper.ts'

/** SIGRTMIN+4 and SIGRTMIN+5, with which systemd as PID 1 powers off and reboots: systemd(1). */
const SYSTEMD_SIGNALS = { poweroff: 38, reboot: 39 } as const
/** Exists while systemd is PID 1: sd_booted(3). */
const SYSTEMD_RUNS = '/run/systemd/system'
/** In milliseconds. reboot(2) does not return. */
const POWER_LIMIT_MS = 30_000

/** Asks systemd or, when another init runs, the kernel (reboot(2)). */
export async function powerOff(how: 'poweroff' | 'reboot'): Promise<void> {
  if (existsSync(SYSTEMD_RUNS)) process.kill(1, SYSTEMD_SIGNALS[how])
  else await runHelper('power', [how], { limitMs: POWER_LIMIT_MS })
}
