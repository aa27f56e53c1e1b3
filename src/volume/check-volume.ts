/** Checks and repairs a volume that is not in use. */

import { contentWords } from './content.ts'
import { withVolume } from './image-lock.ts'
import { type LookedAt, lookAtVolume } from './look-at-volume.ts'
import { removeLostAndFound } from './lost-and-found.ts'
import { findBackup } from './superblock-backup.ts'
import { type Ran, runHostTool } from './tools.ts'
import { VolumeError } from './volume-error.ts'

export interface Checked extends LookedAt {
  /** The file system is whole; after a repair, now it is. */
  readonly sound: boolean
  /** What e2fsck said. */
  readonly text: string
  /** Of a full repair: each problem that it has changed something for, in the words of e2fsck; `null`: of no other. */
  readonly changes: readonly string[] | null
  /** A safe repair left errors that a full one repairs. */
  readonly needsFull: boolean
}

/**
 * `none` writes nothing. `safe` repairs what loses nothing (e2fsck -p). `full` repairs all of it (e2fsck -y): what cannot
 * be kept is removed, and files that have lost their name go to `lost+found`.
 */
export type Repair = 'none' | 'safe' | 'full'

/** e2fsck(8): 1 is repaired. */
const REPAIRED = 1
/** e2fsck(8): errors are left. */
const NOT_REPAIRED = 4
/** A repair can uncover more: e2fsck asks to be run again then. */
const MAX_FULL_RUNS = 4

/**
 * All of the file system. Both kinds of repair make a superblock that is gone again from its backup.
 *
 * @throws InUseError, VolumeError where it cannot be read, or is no volume
 */
export async function checkVolume(path: string, repair: Repair): Promise<Checked> {
  checkThatItIsOne(path)
  return await withVolume(path, async () => {
    const { status, text, needsFull = false } = await runCheck(path, repair)
    const sound = status === 0 || (repair !== 'none' && status === REPAIRED)
    // e2fsck makes it again, and takes the space from the users.
    if (sound && repair !== 'none') await removeLostAndFound(path)
    const changes = repair === 'full' ? changesOf(text) : null
    return { ...lookAtVolume(path), sound, text, changes, needsFull }
  })
}

/** What is anything else stays what it is, whatever an older file system has left in it. */
function checkThatItIsOne(path: string): void {
  const { content } = lookAtVolume(path)
  if (content.kind === 'ext4' || content.kind === 'damaged') return
  const lostItsHead = content.kind !== 'other' && findBackup(path) !== null
  if (!lostItsHead) throw new VolumeError(`${path} is no volume: it is ${contentWords(content)}`)
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
  // A backup does not say that the journal has something to replay: e2fsck asks, and -p does not answer.
  const { status, text } = await runHostTool('e2fsck', ['-f', '-y', ...from])
  return { status, text: `${careful.text}\n${text}` }
}

/** Until a run finds nothing more. The first one makes the superblock from its backup, where that is named. */
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

/** What e2fsck -y has answered with yes. A problem may take several lines. */
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

/** Neither is part of a problem. */
const HEADINGS = /^(e2fsck \d|Pass \d)/
const ANSWERED = /\? yes$/
