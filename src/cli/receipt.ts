/** A receipt for people. */

import type { Receipt } from '../client/index.ts'
import { formatBytes, formatDuration, renderFacts } from './table.ts'

export function describeReceipt(receipt: Receipt): string {
  const { device, how, clean, errors, errorsSince, heldBy, dirtyBytes, ms } = receipt
  return renderFacts([
    ['Workspace', clean ? 'clean' : 'NOT CLEAN'],
    ['Device', device ?? 'none'],
    ['Done', `${described[how]} in ${formatDuration(ms)}`],
    ['Was dirty', `${formatBytes(dirtyBytes)} of the machine`],
    ...(heldBy === null ? [] : [['Held by', heldBy] as const]),
    ...(errors.length === 0 ? [] : [['Errors', errors] as const]),
    ...(errorsSince === 'restart' ? [['Errors known', 'since guestd was restarted'] as const] : []),
  ])
}

const described: Readonly<Record<Receipt['how'], string>> = {
  flush: 'written out',
  unmount: 'written out and unmounted',
  shutdown: 'written out and shut down, as it was in use',
  none: 'nothing',
}
