/** Powers off or reboots the machine after the stop. */
import type { Log } from '../log.ts'
import { powerOff } from '../sys/power.ts'
import { atMost } from '../util/at-most.ts'

/** How long followers of the stop have to take its last line, in milliseconds. */
const LAST_LINE_MS = 2_000

export async function endMachine(
  how: 'poweroff' | 'reboot',
  followed: Promise<unknown>,
  log: Log,
): Promise<void> {
  await atMost(LAST_LINE_MS, followed)
  log.info({ how }, 'the machine ends')
  try {
    await powerOff(how)
  } catch (err) {
    log.error({ how, err }, 'the machine could not be ended')
  }
}
