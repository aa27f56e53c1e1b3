/** Volumes as text. */

import { contentWords } from '../volume/content.ts'
import { holderWords } from '../volume/image-users.ts'
import type { Inspected } from '../volume/inspect-volume.ts'
import type { VolumeUsage } from '../volume/look-at-volume.ts'
import type { Mark } from '../volume/mark.ts'
import type { Swept, Unread } from '../volume/volume-folder.ts'
import { type Fact, formatBytes, formatDuration, renderFacts, renderTable } from './text-table.ts'

export function describeVolume(volume: Inspected): string {
  const { path, bytes, content, mark, markPlace, usage, lastActivityAt, expiresAt } = volume
  return renderFacts([
    ['Volume', path],
    ['File', formatBytes(bytes)],
    ['Content', contentWords(content)],
    ...(content.kind === 'ext4'
      ? ([
          ['UUID', content.uuid],
          ['File system', fileSystemWords(content)],
        ] as const)
      : []),
    ...(usage === null ? [] : usageFacts(usage)),
    ['Mark', mark === null ? (placeWords[markPlace] ?? '') : markWords(mark)],
    ...(mark === null ? [] : markFacts(mark)),
    ['Last activity', lastActivityAt ?? (content.kind === 'ext4' ? 'never used' : 'not known')],
    ['Expires', expiresAt === null ? 'never' : `${expiresAt}${volume.expired ? ' (expired)' : ''}`],
  ])
}

const placeWords: Readonly<Record<string, string>> = {
  none: 'there is no place for one',
  empty: 'none yet',
  newer: 'that of a newer guestd: this one leaves the volume alone',
  foreign: 'something else is in its place: guestd leaves the volume alone',
}

function fileSystemWords({
  clean,
  hasErrors,
  mmp,
}: {
  readonly clean: boolean
  readonly hasErrors: boolean
  readonly mmp: boolean
}): string {
  const state = hasErrors ? 'broken' : clean ? 'clean' : 'not left clean'
  return mmp ? `${state}, with multiple mount protection` : state
}

function usageFacts(usage: VolumeUsage): Fact[] {
  const { usedBytes, capBytes, availableBytes, usedInodes, availableInodes, exact } = usage
  const stale = exact ? '' : '; not exact, as it was not left clean'
  return [
    ['Used', `${formatBytes(usedBytes)} of ${formatBytes(capBytes)}${stale}`],
    ['Available', `${formatBytes(availableBytes)} (${availableBytes} bytes)`],
    ['Files', `${usedInodes} of ${usedInodes + availableInodes}`],
  ]
}

function markWords({ state, pending }: Mark): string {
  if (pending !== undefined) return 'a file system is being made'
  return state === 'clean' ? 'clean' : 'not left clean'
}

function markFacts({ sessionId, runtimeVersion, generation, receipt }: Mark): Fact[] {
  return [
    ['Session', sessionId ?? 'none'],
    ['Runtime version', runtimeVersion ?? 'none'],
    ['Generation', String(generation)],
    ['Last stop', receipt === null ? 'none' : `${receipt.clean ? '' : 'not '}clean, ${receipt.at}`],
    ['Errors', receipt?.errors ?? []],
  ]
}

/** A table, and a line for each file that could not be read. */
export function renderVolumes(volumes: readonly Inspected[], unread: readonly Unread[]): string {
  const lines = unread.map(({ reason }) => [`not read: ${reason}`])
  const [first, ...rest] = lines
  return `${tableOf(volumes)}${first === undefined ? '' : renderTable(first, rest)}`
}

function tableOf(volumes: readonly Inspected[]): string {
  return renderTable(
    [
      'VOLUME',
      'SESSION',
      'GENERATION',
      'STATE',
      'USED',
      'CAP',
      'LAST ACTIVITY',
      'EXPIRES',
      'HOLDER',
    ],
    volumes.map(volume => [
      volume.path,
      volume.mark?.sessionId ?? '-',
      String(volume.mark?.generation ?? '-'),
      stateWords(volume),
      volume.usage === null
        ? '-'
        : `${volume.usage.exact ? '' : '~'}${formatBytes(volume.usage.usedBytes)}`,
      volume.usage === null ? '-' : formatBytes(volume.usage.capBytes),
      volume.lastActivityAt ?? '-',
      volume.expired ? 'expired' : (volume.expiresAt ?? 'never'),
      volume.holders.length === 0 ? '-' : holderWords(volume.holders),
    ]),
  )
}

function stateWords({ holders, content, markPlace, mark }: Inspected): string {
  if (holders.length > 0) return 'in use'
  if (content.kind === 'damaged') return 'damaged'
  if (markPlace === 'newer' || markPlace === 'foreign') return markPlace
  if (mark === null) return 'new'
  return mark.state === 'clean' ? 'clean' : 'not clean'
}

/** One line for each volume, and the sum. */
export function renderSwept(swept: readonly Swept[]): string {
  const lines = swept.map(({ path, outcome, reason, sessionId, idleMs }) => {
    const whose = sessionId === null ? '' : `, session ${sessionId}`
    const idle = idleMs === null ? '' : `, idle for ${formatDuration(idleMs)}`
    return [
      `${outcomeWords[outcome]} ${path}${whose}${idle}${reason === null ? '' : `: ${reason}`}`,
    ]
  })
  const done = swept.filter(({ outcome }) => outcome === 'deleted' || outcome === 'expired')
  const bytes = done.reduce((sum, { diskBytes }) => sum + diskBytes, 0)
  const count = (outcome: Swept['outcome']) => swept.filter(one => one.outcome === outcome).length
  const counts = (['deleted', 'expired', 'kept', 'failed'] as const)
    .filter(outcome => outcome === 'kept' || count(outcome) > 0)
    .map(outcome => `${count(outcome)} ${sumWords[outcome]}`)
  const sum = [`${counts.join(', ')}; ${formatBytes(bytes)} of the disk`]
  const [first = sum, ...rest] = [...lines, sum]
  return renderTable(first, rest)
}

const outcomeWords: Readonly<Record<Swept['outcome'], string>> = {
  deleted: 'deleted',
  expired: 'would be deleted:',
  kept: 'kept',
  failed: 'FAILED',
}

const sumWords: Readonly<Record<Swept['outcome'], string>> = {
  deleted: 'deleted',
  expired: 'would be deleted',
  kept: 'kept',
  failed: 'could not be deleted',
}
