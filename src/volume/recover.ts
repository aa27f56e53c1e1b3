/** Repairs a volume that was not left clean, before it is mounted. */
import { runGuestTool } from './tools.ts'
import { unavailable } from './unavailable.ts'

/** e2fsck(8): errors were corrected. The reboot that 2 asks for is only needed for a mounted root. */
const CORRECTED = 1
const CORRECTED_REBOOT = 2
const ERRORS_LEFT = 4
const NEXT_STEP =
  "; 'guestctl volume check FILE --repair=full' on the host repairs it, and may lose files"
/** A full check of a large volume takes minutes. In milliseconds. */
const CHECK_LIMIT_MS = 600_000

/**
 * Runs `e2fsck -p`, which replays the journal and repairs what is safe to repair. With multiple mount
 * protection it fails while another host has the volume.
 *
 * @param cancel ends the check early when it is aborted; the next start begins it again
 * @returns what was done, for people
 * @throws GuestdError `workspace_unavailable` if it cannot repair the volume
 */
export async function recoverVolume(device: string, cancel: AbortSignal): Promise<string> {
  const ran = await runGuestTool('e2fsck', ['-p', device], CHECK_LIMIT_MS, cancel)
  if (cancel.aborted) throw unavailable(`the check of ${device} was cancelled because guestd stops`)
  if (ran === null) return 'journal replay by the kernel'
  const { status, text } = ran
  if (status === 0 || status === CORRECTED || status === CORRECTED_REBOOT)
    return `e2fsck -p: ${text}`
  const next = (status & ERRORS_LEFT) === 0 ? '' : NEXT_STEP
  throw unavailable(`e2fsck -p cannot repair ${device} (exit code ${status}): ${text}${next}`)
}
