/** Ending the machine. */
import { existsSync } from 'node:fs'
import { runHelper } from './helper.ts'

/** What systemd as PID 1 takes for `systemctl poweroff` and `reboot`: SIGRTMIN+4, +5, systemd(1). */
const SYSTEMD_SIGNALS = { poweroff: 38, reboot: 39 } as const
/** sd_booted(3) */
const SYSTEMD_RUNS = '/run/systemd/system'
/** reboot(2) does not come back. */
const POWER_LIMIT_MS = 30_000

/** Asks systemd for it, or, where another init runs, the kernel itself (reboot(2)). */
export async function powerOff(how: 'poweroff' | 'reboot'): Promise<void> {
  if (existsSync(SYSTEMD_RUNS)) process.kill(1, SYSTEMD_SIGNALS[how])
  else await runHelper('power', [how], { limitMs: POWER_LIMIT_MS })
}
