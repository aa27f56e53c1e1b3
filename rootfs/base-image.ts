/** The guest's Debian with its kernel: everything that does not change with guestd's own code. */

import { chmod, copyFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { cached } from './cache.ts'
import { contentKey } from './content-key.ts'
import { findTool } from './tools.ts'
import { VmError } from './vm-error.ts'

const INPUTS = path.join(import.meta.dirname, 'base')
const SUITE = 'bookworm'
/** Room for packages that a session installs and for its workspace; the image file is sparse. */
const DISK_SIZE = '6G'
/** What no command in a guest reads: half of the image, and a third of the time to install it. */
const EXCLUDED = ['man', 'doc', 'info', 'locale', 'bash-completion']

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
  const key = await contentKey([SUITE, DISK_SIZE, ...EXCLUDED], [INPUTS])
  const folder = await cached({
    kind: 'base',
    key,
    build: async folder => {
      onBuild()
      await build(folder)
    },
  })
  return {
    kernel: path.join(folder, 'vmlinuz'),
    initramfs: path.join(folder, 'initramfs.gz'),
    root: path.join(folder, 'root.ext4'),
  }
}

async function build(folder: string): Promise<void> {
  const mmdebstrap = await findTool('mmdebstrap')
  // Beside the cache because the hook may run as another user id, which a home directory keeps out.
  const desk = await mkdtemp(path.join(tmpdir(), 'guestd-base-'))
  try {
    await chmod(desk, 0o755)
    for (const name of await readdir(INPUTS)) {
      await copyFile(path.join(INPUTS, name), path.join(desk, name))
    }
    const fifo = path.join(desk, 'image.fifo')
    await execa('mkfifo', ['--mode=666', fifo])
    const unpack = execa('tar', ['-C', folder, '--no-same-owner', '-xf', fifo], { reject: false })
    const made = await execa(mmdebstrap, await mmdebstrapArgs(desk, fifo), {
      reject: false,
      all: true,
      env: { DEBIAN_FRONTEND: 'noninteractive' },
      stdin: 'ignore',
    })
    if (made.failed) {
      unpack.kill()
      throw new VmError(`mmdebstrap failed:\n${made.all.slice(-MAX_LOG_CHARS)}`)
    }
    const unpacked = await unpack
    if (unpacked.failed) throw new VmError(`the image could not be unpacked: ${unpacked.stderr}`)
  } finally {
    await rm(desk, { recursive: true, force: true })
  }
}

/** Of mmdebstrap's log, the part worth showing: a few screens. */
const MAX_LOG_CHARS = 4_000

async function mmdebstrapArgs(desk: string, fifo: string): Promise<string[]> {
  const list = await readFile(path.join(INPUTS, 'packages.txt'), 'utf8')
  const packages = list.split('\n').filter(line => line !== '')
  const hook = [path.join(desk, 'customize.sh'), '"$1"', desk, fifo, DISK_SIZE].join(' ')
  return [
    `--mode=${process.getuid?.() === 0 ? 'root' : 'unshare'}`,
    '--variant=minbase',
    '--format=null',
    `--include=${packages.join(',')}`,
    ...EXCLUDED.map(name => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
    `--customize-hook=${hook}`,
    SUITE,
  ]
}
