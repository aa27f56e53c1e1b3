/** Checking a volume that no machine uses. */
import { statSync } from 'node:fs'
import { withLock } from './lock.ts'
import { type LookedAt, lookAtVolume } from './look.ts'
import { runTool } from './tools.ts'

export interface Checked extends LookedAt {
  /** The file system is whole; after a repair, now it is. */
  readonly sound: boolean
  /** What e2fsck said. */
  readonly text: string
}

/** e2fsck(8): 1 is mended. */
const MENDED = 1

/**
 * All of the file system; without `repair` nothing is written.
 *
 * @throws VolumeError while a machine has it, or where it cannot be read
 */
export async function checkVolume(path: string, repair: boolean): Promise<Checked> {
  const check = async () => {
    const { status, text } = await runTool('e2fsck', ['-f', repair ? '-p' : '-n', path])
    return { ...lookAtVolume(path), sound: status === 0 || (repair && status === MENDED), text }
  }
  lookAtVolume(path)
  // The kernel keeps others from a device that is mounted.
  return statSync(path).isFile() ? await withLock(path, check) : await check()
}
