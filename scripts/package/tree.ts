/** The files of the package as they lie in a guest, in a folder. */
import { chmod, copyFile, mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { sourceDateEpoch } from '../source-date.ts'
import type { PackagedFile } from './inputs.ts'

/** Fills a folder. Modes and times do not depend on the user, the umask or the time. */
export async function writeTree(folder: string, files: readonly PackagedFile[]): Promise<void> {
  for (const { to, from, mode, strip } of files) {
    const file = join(folder, to)
    await mkdir(dirname(file), { recursive: true })
    if (typeof from !== 'string') await writeFile(file, from.text)
    else if (strip === true) await execa('strip', ['--strip-unneeded', '-o', file, from])
    else await copyFile(from, file)
    await chmod(file, mode)
  }
  await settle(folder)
}

/** Gives folders their mode, and all of a tree the same time. */
export async function settle(folder: string): Promise<void> {
  const epoch = sourceDateEpoch()
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await settle(path)
    else await utimes(path, epoch, epoch)
  }
  await chmod(folder, 0o755)
  await utimes(folder, epoch, epoch)
}
