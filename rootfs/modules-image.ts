/** A disk with the repository's installed packages, for running its tests inside a guest. */

import path from 'node:path'
import { execa } from 'execa'
import { cached } from './cache.ts'
import { contentKey } from './content-key.ts'
import { makeDisk } from './tools.ts'
import { VmError } from './vm-error.ts'

const REPOSITORY = path.dirname(import.meta.dirname)
const MODULES = path.join(REPOSITORY, 'node_modules')
/** 20,000 small files end in the middle of a block each, and need an inode. */
const OVERHEAD_RATIO = 1.25

/** `node_modules` as it is installed, keyed by npm's record of it; to be mounted read-only. */
export async function ensureModulesImage(): Promise<string> {
  const record = path.join(MODULES, '.package-lock.json')
  const key = await contentKey([], [record]).catch(cause => {
    throw new VmError('node_modules is not installed: run npm ci', { cause })
  })
  const folder = await cached({
    kind: 'modules',
    key,
    build: async folder => {
      const { stdout } = await execa('du', ['-sm', MODULES])
      const sizeMib = Math.ceil(Number.parseInt(stdout, 10) * OVERHEAD_RATIO)
      await makeDisk(MODULES, path.join(folder, 'modules.ext4'), `${sizeMib}M`)
    },
  })
  return path.join(folder, 'modules.ext4')
}
