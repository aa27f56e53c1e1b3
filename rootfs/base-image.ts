/** The guest's Debian with its kernel: everything that does not change with guestd's own code. */

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { sourceDateEpoch } from '../scripts/source-date.ts'
import { cached } from './cache.ts'
import { contentKey } from './content-key.ts'
import { makeDebian } from './debian.ts'

const INPUTS = path.join(import.meta.dirname, 'base')
const SUITE = 'bookworm'
/** Files that no command in a guest reads: half of the image, and a third of the time to install it. */
const EXCLUDED = ['man', 'doc', 'info', 'locale', 'bash-completion']

export interface BaseImage {
  /** Names the packages and all that they were made with. */
  key: string
  suite: string
  /** The root file system as a tar archive; `boot` in it holds `vmlinuz` and a static `busybox`. */
  archive: string
}

/**
 * The base from the cache, or made by mmdebstrap in about a minute.
 * @param include Debian packages beside those of `base/packages.txt`
 * @param onBuild called if it has to be made
 * @throws VmError with the end of mmdebstrap's log
 */
export async function ensureBaseImage(
  include: readonly string[],
  onBuild: () => void,
): Promise<BaseImage> {
  const packages = [...new Set([...(await defaultPackages()), ...include])].sort()
  const words = [SUITE, `${sourceDateEpoch()}`, ...EXCLUDED, '', ...packages]
  const key = await contentKey(words, [
    path.join(INPUTS, 'kernel.sh'),
    path.join(import.meta.dirname, 'debian.ts'),
  ])
  const folder = await cached({
    kind: 'base',
    key,
    build: async folder => {
      onBuild()
      await buildBase(packages, path.join(folder, ARCHIVE))
    },
  })
  return { key, suite: SUITE, archive: path.join(folder, ARCHIVE) }
}

const ARCHIVE = 'base.tar'

/** Makes the archive without using the cache. */
export async function buildBase(packages: readonly string[], file: string): Promise<void> {
  const hook = path.join(INPUTS, 'kernel.sh')
  await makeDebian({ suite: SUITE, packages, hook, excluded: EXCLUDED }, file)
}

/** The packages of every image. */
export async function defaultPackages(): Promise<string[]> {
  const list = await readFile(path.join(INPUTS, 'packages.txt'), 'utf8')
  return list.split('\n').filter(line => line !== '')
}
