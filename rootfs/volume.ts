/** A fresh workspace volume: an ext4 of the size that gives users exactly 1 GiB. */

import { truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { execa } from 'execa'
import { cached } from './cache.ts'
import { contentKey } from './content-key.ts'
import { findTool } from './tools.ts'

/** By this the guest finds it. */
export const VOLUME_LABEL = 'guestd-workspace'
const BLOCK_BYTES = 4096
/** Of it 262,144 blocks are free for files, and none is kept back for root. */
const BLOCKS = 291_565
/** One for each free block: inodes never run out before space does. */
const INODES = 262_144

/** Makes the file, sparse; it must not be there. */
export async function makeVolume(file: string): Promise<void> {
  await writeFile(file, '', { flag: 'wx' })
  await truncate(file, BLOCKS * BLOCK_BYTES)
  await execa(await findTool('mke2fs'), [
    ...['-q', '-F', '-t', 'ext4', '-b', `${BLOCK_BYTES}`, '-m', '0', '-N', `${INODES}`],
    ...['-E', 'assume_storage_prezeroed=1,nodiscard', '-L', VOLUME_LABEL, file, `${BLOCKS}`],
  ])
}

/** One for machines whose workspace is forgotten at their end; to be opened with `snapshot=on`. */
export async function ensureEmptyVolume(): Promise<string> {
  const key = await contentKey([], [import.meta.filename])
  const name = 'workspace.ext4'
  const folder = await cached({
    kind: 'volume',
    key,
    build: folder => makeVolume(path.join(folder, name)),
  })
  return path.join(folder, name)
}
