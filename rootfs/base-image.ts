/** The guest's Debian with its kernel: everything that does not change with guestd's own code. */

import path from 'node:path'
import { cached } from './cache.ts'
import { contentKey } from './content-key.ts'
import { type DebianRecipe, makeDebian } from './debian.ts'

const RECIPE: DebianRecipe = {
  suite: 'bookworm',
  inputs: path.join(import.meta.dirname, 'base'),
  // Room for packages that a session installs and for its workspace; the image file is sparse.
  diskSize: '6G',
  // What no command in a guest reads: half of the image, and a third of the time to install it.
  excluded: ['man', 'doc', 'info', 'locale', 'bash-completion'],
}

export interface BaseImage {
  kernel: string
  /** A gzipped cpio archive; further ones may follow it. */
  initramfs: string
  /** ext4; to be opened with QEMU's `snapshot=on`. */
  root: string
}

/**
 * The base image from the cache, or made by mmdebstrap in about a minute.
 * @param onBuild called if it has to be made
 * @throws VmError with the end of mmdebstrap's log
 */
export async function ensureBaseImage(onBuild: () => void): Promise<BaseImage> {
  const { suite, diskSize, excluded, inputs } = RECIPE
  const key = await contentKey([suite, diskSize, ...excluded], [inputs])
  const folder = await cached({
    kind: 'base',
    key,
    build: async folder => {
      onBuild()
      await makeDebian(RECIPE, folder)
    },
  })
  return {
    kernel: path.join(folder, 'vmlinuz'),
    initramfs: path.join(folder, 'initramfs.gz'),
    root: path.join(folder, 'root.ext4'),
  }
}
