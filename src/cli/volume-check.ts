/** The check of a volume for people. */
import type { Checked } from '../volume/check-volume.ts'
import { printableLines } from './text-table.ts'

/** What e2fsck said, of a full repair the list of its changes, and the verdict. */
export function renderCheck(checked: Checked): string {
  const { text, changes, sound } = checked
  const isListed = changes !== null && (sound || changes.length > 0)
  const listed = isListed
    ? ['', changesTitle(changes.length), ...changes.map(one => `  ${one}`)]
    : []
  // The names of files are in it.
  return printableLines([text, ...listed, verdictOf(checked), ''].join('\n'))
}

function changesTitle(count: number): string {
  return count === 0
    ? 'Nothing was changed'
    : `Changed for ${count} ${count === 1 ? 'problem' : 'problems'}:`
}

function verdictOf({ sound, content, needsFull }: Checked): string {
  if (!sound) return needsFull ? `NOT SOUND: ${WAY_ON}` : 'NOT SOUND'
  // What is wrong in a check that writes nothing may be only what the journal has still to say.
  const leftClean = content.kind !== 'ext4' || content.clean
  return leftClean
    ? 'Sound'
    : 'Sound, but not left clean: the next start replays its journal, as --repair does'
}

const WAY_ON = '--repair=full repairs the rest, and may lose files: keep a copy of the volume'
