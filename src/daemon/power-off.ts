/** The end of the machine, after the stop. */
import type { Log } from '../log.ts'
import { powerOff } from '../sys/power.ts'

/** Who follows the stop has this long to take its last line, in milliseconds. */
const LAST_LINE_MS = 2_000

export async function endMachine(
  how: 'poweroff' | 'reboot',
  followed: Promise<unknown>,
  log: Log,
): Promise<void> {
  const limit = new Promise(resolve => setTimeout(resolve, LAST_LINE_MS).unref())
  await Promise.race([followed, limit])
  log.info({ how }, 'the machine ends')
  try {
    await powerOff(how)
  } catch (err) {
    log.error({ how, err }, 'the machine could not be ended')
  }
}
