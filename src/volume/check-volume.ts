/** Checks and repairs a volume that is not in use. */

import { contentWords } from './content.ts'
import { withVolume } from './image-lock.ts'
import { type LookedAt, lookAtVolume } from './look-at-volume.ts'
import { removeLostAndFound } from './lost-and-found.ts'
import { findBackup } from './superblock-backup.ts'
import { type Ran, runHostTool } from './tools.ts'
import { VolumeError } from './volume-error.ts'

export interface Checked extends LookedAt {
  /** The file system is intact, after a repair if there was one. */
  readonly sound: boolean
  /** The output of e2fsck. */
  readonly text: string
  /** Each problem that a full repair has changed something for, in the words of e2fsck; `null`: it was no full repair. */
  readonly changes: readonly string[] | null
  /** A safe repair left errors that a full one repairs. */
  readonly needsFull: boolean
}

/**
 * `none` writes nothing. `safe` makes only repairs that lose nothing (e2fsck -p). `full` repairs everything (e2fsck -y): it
 * removes what it cannot keep, and moves files that have lost their name to `lost+found`.
 */
export type Repair = 'none' | 'safe' | 'full'

/** e2fsck(8): 1 is repaired. */
const REPAIRED = 1
/** e2fsck(8): errors are left. */
const NOT_REPAIRED = 4
/** A repair can reveal more errors: e2fsck then asks to be run again. */
const MAX_FULL_RUNS = 4

/**
 * Checks all of the file system. Both kinds of repair restore a lost superblock from its backup.
 *
 * @throws InUseError; VolumeError if it cannot be read, or is no volume
 */
export async function checkVolume(path: string, repair: Repair): Promise<Checked> {
  checkIsVolume(path)
  return await withVolume(path, async () => {
    const { status, text, needsFull = false } = await runCheck(path, repair)
    const sound = status === 0 || (repair !== 'none' && status === REPAIRED)
    // e2fsck makes it again, which takes space from the users.
    if (sound && repair !== 'none') await removeLostAndFound(path)
    const changes = repair === 'full' ? changesOf(text) : null
    return { ...lookAtVolume(path), sound, text, changes, needsFull }
  })
}

/** Anything else is not changed, even if an older file system has left a backup in it. */
function checkIsVolume(path: string): void {
  const { content } = lookAtVolume(path)
  if (content.kind === 'ext4' || content.kind === 'damaged') return
  const hasLostSuperblock = content.kind !== 'other' && findBackup(path) !== null
  if (!hasLostSuperblock)
    throw new VolumeError(`${path} is no volume: it is ${contentWords(content)}`)
}

interface CheckRun extends Ran {
  readonly needsFull?: boolean
}

async function runCheck(path: string, repair: Repair): Promise<CheckRun> {
  const { bytes, content } = lookAtVolume(path)
  if (content.kind === 'ext4' && content.bytes > bytes) {
    const text = `${path} has been cut off: an ext4 of ${content.bytes} bytes in ${bytes}`
    return { status: NOT_REPAIRED, text }
  }
  if (repair === 'none') return await runHostTool('e2fsck', ['-f', '-n', path])
  if (content.kind === 'ext4' && repair === 'full') return await repairFully([path])
  if (content.kind === 'ext4') {
    const ran = await runHostTool('e2fsck', ['-f', '-p', path])
    return { ...ran, needsFull: ran.status > 0 && (ran.status & NOT_REPAIRED) !== 0 }
  }
  const backup = findBackup(path)
  if (backup === null) {
    const text = `${path} has no superblock, and no backup of one where mke2fs puts it: a file system of less than 128 MiB has none`
    return { status: NOT_REPAIRED, text }
  }
  const from = ['-b', String(backup.block), '-B', String(backup.blockBytes), path]
  if (repair === 'full') return await repairFully(from)
  const careful = await runHostTool('e2fsck', ['-f', '-p', ...from])
  if (careful.status <= REPAIRED) return careful
  // A backup does not say whether the journal has to be replayed: e2fsck asks, and -p does not answer.
  const { status, text } = await runHostTool('e2fsck', ['-f', '-y', ...from])
  return { status, text: `${careful.text}\n${text}` }
}

/** Repeats until a run finds nothing more. The first run restores the superblock from the backup in `from`. */
async function repairFully(from: readonly string[]): Promise<Ran> {
  const texts: string[] = []
  for (let run = 1; run <= MAX_FULL_RUNS; run++) {
    const { status, text } = await runHostTool('e2fsck', [
      '-f',
      '-y',
      ...(run === 1 ? from : from.slice(-1)),
    ])
    texts.push(text)
    const isOver = status === 0 || status > (REPAIRED | NOT_REPAIRED) || run === MAX_FULL_RUNS
    if (isOver)
      return { status: status === 0 && run > 1 ? REPAIRED : status, text: texts.join('\n') }
  }
  throw new Error('e2fsck was never run')
}

/** The problems that e2fsck -y has answered with yes. A problem may take several lines. */
function changesOf(text: string): readonly string[] {
  const changes: string[] = []
  let lines: string[] = []
  for (const line of text.split('\n')) {
    if (line.trim() === '' || HEADINGS.test(line)) {
      lines = []
      continue
    }
    lines.push(line.trim())
    if (!ANSWERED.test(line)) continue
    changes.push(lines.join(' '))
    lines = []
  }
  return changes
}

/** Lines that are not part of a problem. */
const HEADINGS = /^(e2fsck \d|Pass \d)/
const ANSWERED = /\? yes$/
