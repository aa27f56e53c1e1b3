/** `make dist`: the package of guestd for a Debian guest, and the same tree as a tarball. */
import { copyFile, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { cached } from '../rootfs/cache.ts'
import { contentKey } from '../rootfs/content-key.ts'
import { createTempFolder } from '../rootfs/temp-folder.ts'
import { type Compression, DEB_FOLDER, makeDeb } from './package/deb.ts'
import { NODE_FOLDER, packagedFiles, root } from './package/inputs.ts'
import { writeTree } from './package/tree.ts'
import { sourceDateEpoch } from './source-date.ts'

export interface Package {
  readonly version: string
  /** The `.deb`. Read only. */
  readonly deb: string
}

/**
 * The package of what is in `dist/` now, from the cache, or made in some seconds (`small`: half a
 * minute). The same inputs give the same bytes on every machine, for every user, at any time.
 * @throws Error when guestd is not built
 */
export async function buildPackage(compression: Compression = 'quick'): Promise<Package> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const files = await packagedFiles(version)
  const key = await contentKey(
    files.map(({ to, from, mode }) => `${to} ${mode} ${typeof from === 'string' ? '' : from.text}`),
    [
      ...files.flatMap(({ to, from }) =>
        // Node's 120 MB: its version is enough.
        to.endsWith('/node') || typeof from !== 'string' ? [] : [from],
      ),
      join(NODE_FOLDER, 'package.json'),
      join(import.meta.dirname, 'package'),
      DEB_FOLDER,
    ],
  )
  const folder = await cached({
    kind: `deb-${compression}`,
    key: `${key}-${sourceDateEpoch()}`,
    build: async folder => {
      const desk = await createTempFolder('deb')
      try {
        const tree = join(desk.path, 'tree')
        await writeTree(tree, files)
        await makeDeb(tree, join(folder, 'guestd.deb'), version, compression)
      } finally {
        await desk.remove()
      }
    },
  })
  return { version, deb: join(folder, 'guestd.deb') }
}

/** @returns the paths of the files in `dist/packages` */
async function dist(): Promise<string[]> {
  const { version, deb } = await buildPackage('small')
  const folder = join(root, 'dist/packages')
  await mkdir(folder, { recursive: true })
  const debFile = join(folder, `guestd_${version}_amd64.deb`)
  const tarball = join(folder, `guestd-${version}-linux-x64.tar.xz`)
  await copyFile(deb, debFile)
  // The package's own archive of files: the same bytes, not compressed a second time.
  await execa('ar', ['p', deb, 'data.tar.xz'], { stdout: { file: tarball } })
  return [debFile, tarball]
}

if (import.meta.main) for (const file of await dist()) console.log(file)
