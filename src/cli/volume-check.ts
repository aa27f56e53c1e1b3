/** The check of a volume as text. */
import type { Checked } from '../volume/check-volume.ts'
import { printableLines } from './text-table.ts'

/** The output of e2fsck, the list of changes of a full repair, and the result. */
export function renderCheck(checked: Checked): string {
  const { text, changes, sound } = checked
  const isListed = changes !== null && (sound || changes.length > 0)
  const listed = isListed
    ? ['', changesTitle(changes.length), ...changes.map(one => `  ${one}`)]
    : []
  // The text contains names of files.
  return printableLines([text, ...listed, verdictOf(checked), ''].join('\n'))
}

function changesTitle(count: number): string {
  return count === 0
    ? 'Nothing was changed'
    : `Changed for ${count} ${count === 1 ? 'problem' : 'problems'}:`
}

function verdictOf({ sound, content, needsFull }: Checked): string {
  if (!sound) return needsFull ? `NOT SOUND: ${WAY_ON}` : 'NOT SOUND'
  // A check that writes nothing does not replay the journal, so it can report errors that the replay removes.
  const leftClean = content.kind !== 'ext4' || content.clean
  return leftClean
    ? 'Sound'
    : 'Sound, but not left clean: the next start replays its journal, as --repair does'
}

const WAY_ON = '--repair=full repairs the rest, and may lose files: keep a copy of the volume'
