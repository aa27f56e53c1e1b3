/** Files that are laid over the guest's root at boot: its configuration and its units. */

import { constants } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { type CpioEntry, cpioArchive, padded } from './cpio.ts'

const DEFAULTS = path.join(import.meta.dirname, 'overlay')
/** The folder that the initramfs copies over the root. */
const TARGET = 'overlay'
const FOLDER_MODE = constants.S_IFDIR | 0o755

/** Content by absolute path in the guest. */
export type OverlayFiles = Record<string, string | { content: string; mode: number }>

/** An initramfs that has the default overlay and `files`, which win. */
export async function withOverlay(initramfs: string, files: OverlayFiles): Promise<Buffer> {
  const all = { ...(await defaults()), ...files }
  const entries: CpioEntry[] = []
  const folders = new Set<string>()
  for (const [file, value] of Object.entries(all)) {
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

async function defaults(): Promise<OverlayFiles> {
  const files: OverlayFiles = {}
  for (const name of await readdir(DEFAULTS, { recursive: true })) {
    const file = path.join(DEFAULTS, name)
    const entry = await stat(file)
    if (!entry.isFile()) continue
    // Not the checkout's own mode, which the umask had a part in.
    const mode = (entry.mode & 0o111) === 0 ? 0o644 : 0o755
    files[`/${name}`] = { content: await readFile(file, 'utf8'), mode }
  }
  return files
}

/** `a/b/c` → `a`, `a/b`. */
function parents(file: string): string[] {
  const parts = file.split('/')
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'))
}
