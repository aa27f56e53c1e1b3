/** Runs mmdebstrap: a minimal Debian with a kernel as one tar archive. */

import { chmod, copyFile } from 'node:fs/promises'
import path from 'node:path'
import { sourceDateEpoch } from '../scripts/source-date.ts'
import { buildAsRoot, isRoot, runTied } from './namespaces.ts'
import { createTempFolder } from './temp-folder.ts'
import { findTool } from './tools.ts'

export interface DebianRecipe {
  suite: string
  packages: readonly string[]
  /** The customize hook, called with the root. */
  hook: string
  /** Folders of `/usr/share` that dpkg leaves out. */
  excluded: readonly string[]
}

/** Leaves the archive at `file`; its bytes depend on the packages alone. @throws VmError */
export async function makeDebian(recipe: DebianRecipe, file: string): Promise<void> {
  // Not in the cache folder: the hook may run as another user id, which a home directory keeps out.
  const temp = await createTempFolder('base')
  try {
    await chmod(temp.path, 0o755)
    const hook = path.join(temp.path, path.basename(recipe.hook))
    await copyFile(recipe.hook, hook)
    const command: [string, ...string[]] = [
      await findTool('mmdebstrap'),
      `--mode=${isRoot() ? 'root' : 'unshare'}`,
      '--variant=minbase',
      '--format=tar',
      `--include=${recipe.packages.join(',')}`,
      ...recipe.excluded.map(name => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
      `--customize-hook=${hook} "$1"`,
      recipe.suite,
      file,
    ]
    const options = {
      what: 'mmdebstrap failed',
      env: {
        DEBIAN_FRONTEND: 'noninteractive',
        SOURCE_DATE_EPOCH: `${sourceDateEpoch()}`,
        ...(isRoot() ? { TMPDIR: temp.path } : {}),
      },
    }
    await (isRoot() ? buildAsRoot(command, options) : runTied(command, options))
  } finally {
    await temp.remove()
  }
}
