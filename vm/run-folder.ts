/** The folder with a running machine's sockets and console. */

import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createTempFolder } from '../rootfs/temp-folder.ts'

/**
 * A Unix socket's path has at most 107 bytes (`sun_path` in unix(7)), and the vsock device makes
 * names with a port behind the longest here; a longer temporary folder is not usable.
 */
const MAX_TMPDIR_BYTES = 64

export interface RunFolder {
  path: string
  /** The Unix socket to the guest. */
  vsock: string
  /** The one between QEMU and the vsock device's host side. */
  vhostSocket: string
  /** QEMU's own, for its protocol QMP. */
  qmp: string
  console: string
  initramfs: string
  hasVhostSocket: () => Promise<boolean>
  remove: () => Promise<void>
}

export async function createRunFolder(): Promise<RunFolder> {
  const usable = Buffer.byteLength(tmpdir()) <= MAX_TMPDIR_BYTES
  const folder = await createTempFolder('vm', usable ? tmpdir() : '/tmp')
  const vhostSocket = path.join(folder.path, 'vhost.sock')
  return {
    path: folder.path,
    vsock: path.join(folder.path, 'vsock.sock'),
    vhostSocket,
    qmp: path.join(folder.path, 'qmp.sock'),
    console: path.join(folder.path, 'console.log'),
    initramfs: path.join(folder.path, 'initramfs'),
    hasVhostSocket: async () => existsSync(vhostSocket),
    remove: folder.remove,
  }
}
