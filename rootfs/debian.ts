/** Runs mmdebstrap with `base/customize.sh` and takes the images that come out of it. */

import { chmod, copyFile, readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { execa } from 'execa'
import { tiedCommand } from './child.ts'
import { createTempFolder } from './temp-folder.ts'
import { findTool } from './tools.ts'
import { VmError } from './vm-error.ts'

export interface DebianRecipe {
  suite: string
  /** The folder with `packages.txt`, `customize.sh` and what that reads. */
  inputs: string
  /** Of the root disk, as mke2fs takes it. */
  diskSize: string
  /** Folders of `/usr/share` that dpkg leaves out. */
  excluded: readonly string[]
}

/** Of mmdebstrap's log, the part worth showing: a few screens. */
const MAX_LOG_CHARS = 4_000

/**
 * Leaves `vmlinuz`, `initramfs.gz` and `root.ext4` in a folder.
 * @throws VmError with the end of mmdebstrap's log
 */
export async function makeDebian(recipe: DebianRecipe, folder: string): Promise<void> {
  // Not in the cache folder: the hook may run as another user id, which a home directory keeps out.
  const temp = await createTempFolder('base')
  const desk = temp.path
  try {
    await chmod(desk, 0o755)
    for (const name of await readdir(recipe.inputs)) {
      await copyFile(path.join(recipe.inputs, name), path.join(desk, name))
    }
    const fifo = path.join(desk, 'image.fifo')
    await execa('mkfifo', ['--mode=666', fifo])
    const untar = ['--directory', folder, '--no-same-owner', '--extract', '--file', fifo]
    const [program, args] = await tiedCommand('tar', untar)
    const unpacking = execa(program, args, { reject: false })
    try {
      await runMmdebstrap(recipe, desk, fifo)
    } catch (error) {
      unpacking.kill()
      throw error
    }
    const unpacked = await unpacking
    if (unpacked.failed) throw new VmError(`the image could not be unpacked: ${unpacked.stderr}`)
  } finally {
    await temp.remove()
  }
}

async function runMmdebstrap(recipe: DebianRecipe, desk: string, fifo: string): Promise<void> {
  const command = [await findTool('mmdebstrap'), ...(await mmdebstrapArgs(recipe, desk, fifo))]
  // As root it mounts in the host's tree, and has many processes. In namespaces of its own all of
  // that ends with it in any case; as another user it makes such namespaces itself.
  if (isRoot()) command.unshift(await findTool('unshare'), ...NAMESPACES)
  const [first = '', ...rest] = command
  const [program, args] = await tiedCommand(first, rest)
  const made = await execa(program, args, {
    reject: false,
    all: true,
    stdin: 'ignore',
    env: { DEBIAN_FRONTEND: 'noninteractive', ...(isRoot() ? { TMPDIR: desk } : {}) },
  })
  if (!made.failed) return
  const log = made.all.slice(-MAX_LOG_CHARS)
  throw new VmError(`mmdebstrap failed (${made.shortMessage}):\n${log}`)
}

const NAMESPACES = ['--mount-proc', '--pid', '--fork', '--kill-child=SIGKILL', '--']

async function mmdebstrapArgs(recipe: DebianRecipe, desk: string, fifo: string): Promise<string[]> {
  const list = await readFile(path.join(recipe.inputs, 'packages.txt'), 'utf8')
  const packages = list.split('\n').filter(line => line !== '')
  const hook = [path.join(desk, 'customize.sh'), '"$1"', desk, fifo, recipe.diskSize].join(' ')
  return [
    `--mode=${isRoot() ? 'root' : 'unshare'}`,
    '--variant=minbase',
    '--format=null',
    `--include=${packages.join(',')}`,
    ...recipe.excluded.map(name => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
    `--customize-hook=${hook}`,
    recipe.suite,
  ]
}

function isRoot(): boolean {
  return process.getuid?.() === 0
}
