/** The host's programs that images and machines are made with. */

import { access, constants } from 'node:fs/promises'
import path from 'node:path'
import { execa } from 'execa'
import { cacheFolder } from './cache.ts'
import { VmError } from './vm-error.ts'

/** The host side of the guest's vsock device; `scripts/install-deps.sh vm` builds this version. */
const VHOST_VERSION = '0.3.0'
/** Where mke2fs and the like are, which is not on every user's PATH. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin']

export type HostTool =
  | 'qemu-system-x86_64'
  | 'mksquashfs'
  | 'mmdebstrap'
  | 'mke2fs'
  | 'setpriv'
  | 'unshare'

/**
 * The full path of a program.
 * @throws VmError that says how to install what is missing
 */
export async function findTool(name: HostTool): Promise<string> {
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), ...SYSTEM_FOLDERS]
  for (const folder of folders) {
    const file = path.join(folder, name)
    if (folder !== '' && (await isExecutable(file))) return file
  }
  throw missing(name)
}

/** vhost-device-vsock, from the cache folder. @throws VmError as `findTool` */
export async function findVhostDevice(): Promise<string> {
  const name = 'vhost-device-vsock'
  const file = path.join(cacheFolder(), 'tools', `${name}-${VHOST_VERSION}`, 'bin', name)
  if (await isExecutable(file)) return file
  throw missing(`${name} ${VHOST_VERSION}`)
}

/**
 * Makes a disk image of a folder's content without mounting anything. The caller's files belong to root in the image,
 * even if the caller is an ordinary user.
 *
 * @param size as mke2fs takes it: `64M`, `4G`
 */
export async function makeDisk(folder: string, image: string, size: string): Promise<void> {
  const make = [
    await findTool('mke2fs'),
    ...['-q', '-t', 'ext4', '-O', '^has_journal', '-E', 'assume_storage_prezeroed=1'],
    ...['-d', folder, image, size],
  ]
  const isRoot = process.getuid?.() === 0
  const [program = '', ...args] = isRoot
    ? make
    : [await findTool('unshare'), '--map-root-user', '--', ...make]
  await execa(program, args)
}

function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  )
}

function missing(what: string): VmError {
  return new VmError(`${what} is missing: run scripts/install-deps.sh vm`)
}
