/** Mending a volume that was not left clean, before it is mounted. */
import { runGuestTool } from './tools.ts'
import { unavailable } from './unavailable.ts'

/** e2fsck(8): what was found was mended; a restart of the machine is only for a mounted root. */
const CORRECTED = 1
const CORRECTED_REBOOT = 2
const ERRORS_LEFT = 4
const WAY_ON =
  "; 'guestctl volume check FILE --repair=full' on the host repairs it, and may lose files"
/** A whole check of a large volume takes minutes. */
const CHECK_LIMIT_MS = 600_000

/**
 * Runs `e2fsck -p`, which replays the journal and repairs what is safe to repair. With multiple mount
 * protection it fails while another host has the volume.
 *
 * @param cancel aborted, the check ends early, and the next start begins it again
 * @returns what was done, for people
 * @throws GuestdError `workspace_unavailable` where it cannot repair the volume
 */
export async function recoverVolume(device: string, cancel: AbortSignal): Promise<string> {
  const ran = await runGuestTool('e2fsck', ['-p', device], CHECK_LIMIT_MS, cancel)
  if (cancel.aborted) throw unavailable(`guestd stops: the check of ${device} was cancelled`)
  if (ran === null) return 'journal replay by the kernel'
  const { status, text } = ran
  if (status === 0 || status === CORRECTED || status === CORRECTED_REBOOT)
    return `e2fsck -p: ${text}`
  const wayOn = (status & ERRORS_LEFT) === 0 ? '' : WAY_ON
  throw unavailable(`e2fsck -p cannot repair ${device} (exit code ${status}): ${text}${wayOn}`)
}
