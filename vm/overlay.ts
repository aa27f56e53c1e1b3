/** Files that are laid over the guest's root at boot: what differs from one machine to the next. */

import { constants } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { type CpioEntry, cpioArchive, padded } from '../rootfs/cpio.ts'

/** The folder that the initramfs copies over the root. */
const TARGET = 'overlay'
const FOLDER_MODE = constants.S_IFDIR | 0o755

/** Content by absolute path in the guest. */
export type OverlayFiles = Record<string, string | { content: string; mode: number }>

/** An initramfs with `files` appended to it, in an archive of their own. */
export async function withOverlay(initramfs: string, files: OverlayFiles): Promise<Buffer> {
  const entries: CpioEntry[] = []
  const folders = new Set<string>()
  for (const [file, value] of Object.entries(files)) {
    const target = path.join(TARGET, file)
    for (const folder of parents(target)) {
      if (folders.has(folder)) continue
      folders.add(folder)
      entries.push({ path: folder, mode: FOLDER_MODE, content: Buffer.alloc(0) })
    }
    const { content, mode } = typeof value === 'string' ? { content: value, mode: 0o644 } : value
    entries.push({ path: target, mode: constants.S_IFREG | mode, content: Buffer.from(content) })
  }
  return Buffer.concat([padded(await readFile(initramfs)), cpioArchive(entries)])
}

/** `a/b/c` → `a`, `a/b`. */
function parents(file: string): string[] {
  const parts = file.split('/')
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'))
}
