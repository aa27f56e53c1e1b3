/** A Debian package of a tree; deb(5). Made by dpkg-deb alone. */
import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { execa } from 'execa'
import { sourceDateEpoch } from '../source-date.ts'
import { root } from './inputs.ts'
import { settle } from './tree.ts'

/**
 * `small` takes half a minute and every Debian reads it; `quick` a second, for a package that is
 * installed on this machine at once, and read by Debian 12's dpkg and later.
 */
export type Compression = 'small' | 'quick'

const OPTIONS: Readonly<Record<Compression, readonly string[]>> = {
  small: ['-Zxz', '-z6'],
  quick: ['-Zzstd', '-z1', '--threads-max=1'],
}
const KIB = 1_024
const SCRIPTS = ['postinst', 'prerm', 'postrm'] as const
export const DEB_FOLDER = join(root, 'packaging/deb')

/** @param tree gets a folder `DEBIAN` beside its files */
export async function makeDeb(
  tree: string,
  deb: string,
  version: string,
  compression: Compression,
): Promise<void> {
  const files = await filesOf(tree)
  const control = join(tree, 'DEBIAN')
  await mkdir(control)
  const text = await readFile(join(DEB_FOLDER, 'control'), 'utf8')
  const fields = text
    .replace('@VERSION@', version)
    .replace('@INSTALLED_SIZE@', String(await installedKib(files)))
  await writeFile(join(control, 'control'), fields)
  await writeFile(join(control, 'md5sums'), await md5sums(tree, files))
  await copyFile(join(DEB_FOLDER, 'conffiles'), join(control, 'conffiles'))
  for (const name of ['control', 'md5sums', 'conffiles']) await chmod(join(control, name), 0o644)
  for (const name of SCRIPTS) {
    await copyFile(join(DEB_FOLDER, name), join(control, name))
    await chmod(join(control, name), 0o755)
  }
  await settle(tree)
  await execa('dpkg-deb', ['--build', '--root-owner-group', ...OPTIONS[compression], tree, deb], {
    env: { SOURCE_DATE_EPOCH: String(sourceDateEpoch()), LC_ALL: 'C' },
  })
}

async function filesOf(tree: string): Promise<string[]> {
  const entries = await readdir(tree, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
}

/** Debian Policy 5.6.20: each file's size, rounded up to KiB. */
async function installedKib(files: readonly string[]): Promise<number> {
  let kib = 0
  for (const file of files) kib += Math.ceil((await stat(file)).size / KIB)
  return kib
}

/** deb-md5sums(5): all files but the ones of configuration. */
async function md5sums(tree: string, files: readonly string[]): Promise<string> {
  let lines = ''
  for (const file of files) {
    const name = relative(tree, file)
    if (name.startsWith('etc/')) continue
    const sum = createHash('md5')
      .update(await readFile(file))
      .digest('hex')
    lines += `${sum}  ${name}\n`
  }
  return lines
}
