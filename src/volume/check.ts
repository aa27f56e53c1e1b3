/** Checking a volume that nobody uses, and mending it. */

import { contentWords } from '../protocol/volume/content.ts'
import { findBackup } from './backup.ts'
import { VolumeError } from './error.ts'
import { withVolume } from './lock.ts'
import { type LookedAt, lookAtVolume } from './look.ts'
import { type Ran, runTool } from './tools.ts'

export interface Checked extends LookedAt {
  /** The file system is whole; after a repair, now it is. */
  readonly sound: boolean
  /** What e2fsck said. */
  readonly text: string
}

/** e2fsck(8): 1 is mended. */
const MENDED = 1

/**
 * All of the file system; without `repair` nothing is written. A repair mends what is safe to mend, and
 * a superblock that is gone is made again from its backup.
 *
 * @throws InUseError, VolumeError where it cannot be read, or is no volume
 */
export async function checkVolume(path: string, repair: boolean): Promise<Checked> {
  checkThatItIsOne(path)
  return await withVolume(path, async () => {
    const { status, text } = await runCheck(path, repair)
    return { ...lookAtVolume(path), sound: status === 0 || (repair && status === MENDED), text }
  })
}

/** What is anything else stays what it is, whatever an older file system has left in it. */
function checkThatItIsOne(path: string): void {
  const { content } = lookAtVolume(path)
  if (content.kind === 'ext4' || content.kind === 'damaged') return
  const lostItsHead = content.kind !== 'other' && findBackup(path) !== null
  if (!lostItsHead) throw new VolumeError(`${path} is no volume: it is ${contentWords(content)}`)
}

async function runCheck(path: string, repair: boolean): Promise<Ran> {
  const { bytes, content } = lookAtVolume(path)
  if (content.kind === 'ext4' && content.bytes > bytes) {
    const text = `${path} has been cut off: an ext4 of ${content.bytes} bytes in ${bytes}`
    return { status: NOT_MENDED, text }
  }
  return repair ? await mend(path) : await runTool('e2fsck', ['-f', '-n', path])
}

async function mend(path: string): Promise<Ran> {
  const { content } = lookAtVolume(path)
  if (content.kind === 'ext4') return await runTool('e2fsck', ['-f', '-p', path])
  const backup = findBackup(path)
  if (backup === null) {
    const text = `${path} has no superblock, and no backup of one where mke2fs puts it: a file system of less than 128 MiB has none`
    return { status: NOT_MENDED, text }
  }
  const from = ['-b', String(backup.block), '-B', String(backup.blockBytes), path]
  const careful = await runTool('e2fsck', ['-f', '-p', ...from])
  if (careful.status <= MENDED) return careful
  // A backup does not say that the journal has something to replay: e2fsck asks, and -p does not answer.
  const { status, text } = await runTool('e2fsck', ['-f', '-y', ...from])
  return { status, text: `${careful.text}\n${text}` }
}

/** e2fsck(8): errors are left. */
const NOT_MENDED = 4
