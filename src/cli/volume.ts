/** Volumes for people. */

import { availableBytes, contentWords } from '../protocol/volume/superblock.ts'
import type { Listed } from '../volume/folder.ts'
import type { LookedAt } from '../volume/look.ts'
import { type Fact, formatBytes, renderFacts, renderTable } from './table.ts'

export function describeVolume({
  path,
  bytes,
  content,
  mark,
  hasMarkPlace,
  usedAt,
}: LookedAt): string {
  const facts: Fact[] = [
    ['Volume', path],
    ['Size', formatBytes(bytes)],
    ['Content', contentWords(content)],
  ]
  if (content.kind !== 'ext4') return renderFacts(facts)
  const state = content.hasErrors ? 'broken' : content.clean ? 'clean' : 'in use, or not left clean'
  const place = hasMarkPlace ? 'none yet' : 'there is no place for one'
  return renderFacts([
    ...facts,
    ['UUID', content.uuid],
    ['Available', `${formatBytes(availableBytes(content))} (${availableBytes(content)} bytes)`],
    ['File system', state],
    [
      'Mark',
      mark === null ? place : mark.state === 'clean' ? 'clean' : 'in use, or not left clean',
    ],
    ...(mark === null ? [] : markFacts(mark)),
    ['Last used', usedAt],
  ])
}

function markFacts({ sessionId, generation, receipt }: NonNullable<LookedAt['mark']>): Fact[] {
  return [
    ['Session', sessionId ?? 'none'],
    ['Generation', String(generation)],
    ['Last stop', receipt === null ? 'none' : receipt.clean ? 'clean' : 'not clean'],
    ['Errors', receipt?.errors ?? []],
  ]
}

export function renderVolumes(volumes: readonly Listed[]): string {
  return renderTable(
    ['VOLUME', 'SESSION', 'GENERATION', 'STATE', 'AVAILABLE', 'LAST USED'],
    volumes.map(({ path, content, mark, inUse, usedAt }) => [
      path,
      mark?.sessionId ?? '-',
      String(mark?.generation ?? '-'),
      inUse ? 'in use' : (stateWords[mark?.state ?? 'none'] ?? ''),
      content.kind === 'ext4' ? formatBytes(availableBytes(content)) : '-',
      usedAt,
    ]),
  )
}

const stateWords: Readonly<Record<string, string>> = {
  none: 'new',
  clean: 'clean',
  inUse: 'not clean',
}
