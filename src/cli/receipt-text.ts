/** A receipt as text. */

import type { Receipt } from '../client/index.ts'
import { formatBytes, formatDuration, renderFacts } from './text-table.ts'

export function describeReceipt(receipt: Receipt): string {
  const { device, outcome, clean, errors, errorsSince, heldBy, dirtyBytes, ms } = receipt
  return renderFacts([
    ['Workspace', clean ? 'clean' : 'NOT CLEAN'],
    ['Device', device ?? 'none'],
    ['Done', `${described[outcome]} in ${formatDuration(ms)}`],
    ['Was dirty', `${formatBytes(dirtyBytes)} of the machine`],
    ...(heldBy === null ? [] : [['Held by', heldBy] as const]),
    ...(outcome === 'shutdown' ? [['Left', LEFT] as const] : []),
    ...(errors.length === 0 ? [] : [['Errors', errors] as const]),
    ...(errorsSince === 'restart' ? [['Errors known', 'since guestd was restarted'] as const] : []),
  ])
}

/** A process still uses the mount, so guestd cannot remove it. */
const LEFT =
  "the mount, and an image's loop device, until the holder has ended: then start guestd with the same workspace, which cleans up, or 'umount' and 'losetup -d'"

const described: Readonly<Record<Receipt['outcome'], string>> = {
  flush: 'written out',
  unmount: 'written out and unmounted',
  shutdown: 'written out and shut down, as it was in use',
  none: 'nothing',
}
