/** The image's initramfs: a static busybox, the drivers for the root, and `initramfs/init`. */

import { constants } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { type CpioEntry, cpioArchive } from './cpio.ts'
import { modulesInOrder } from './kernel-modules.ts'

const INPUTS = path.join(import.meta.dirname, 'initramfs')
const FOLDERS = ['bin', 'dev', 'lower', 'modules', 'newroot', 'proc', 'sys', 'upper']
const { S_IFDIR, S_IFLNK, S_IFREG } = constants

export interface InitramfsParts {
  /** A static one, whose applets need no library. */
  busybox: string
  /** `/lib/modules/VERSION` of the kernel. */
  modules: string
}

/** A gzipped cpio archive whose bytes depend on the parts' contents alone. */
export async function makeInitramfs({ busybox, modules }: InitramfsParts): Promise<Buffer> {
  const names = (await readFile(path.join(INPUTS, 'modules.txt'), 'utf8')).split('\n')
  const drivers = await modulesInOrder(
    modules,
    names.filter(name => name !== ''),
  )
  const program = async (target: string, file: string): Promise<CpioEntry> => ({
    path: target,
    mode: S_IFREG | 0o755,
    content: await readFile(file),
  })
  const entries: CpioEntry[] = [
    ...FOLDERS.map(folder => ({ path: folder, mode: S_IFDIR | 0o755, content: Buffer.alloc(0) })),
    await program('bin/busybox', busybox),
    { path: 'bin/sh', mode: S_IFLNK | 0o777, content: Buffer.from('busybox') },
    await program('init', path.join(INPUTS, 'init')),
  ]
  for (const [index, file] of drivers.entries()) {
    // `init` loads them in the order of their names.
    const target = `modules/${FIRST_NUMBER + index}-${path.basename(file)}`
    entries.push(await program(target, path.join(modules, file)))
  }
  return gzipSync(cpioArchive(entries), { level: 9 })
}

/** All names have three digits. */
const FIRST_NUMBER = 100
