/** The folder with a running machine's sockets and console. */

import { existsSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

/**
 * A Unix socket's path has at most 107 bytes (`sun_path` in unix(7)), and the vsock device makes
 * names with a port behind the longest here; a longer temporary folder is not usable.
 */
const MAX_TMPDIR_BYTES = 64

export interface RunFolder {
  /** The Unix socket to the guest. */
  vsock: string
  /** The one between QEMU and the vsock device's host side. */
  vhostSocket: string
  console: string
  initramfs: string
  hasVhostSocket: () => Promise<boolean>
  remove: () => Promise<void>
}

/** A folder that only this user can enter, removed by `remove`, or when this process exits. */
export async function createRunFolder(): Promise<RunFolder> {
  const parent = Buffer.byteLength(tmpdir()) <= MAX_TMPDIR_BYTES ? tmpdir() : '/tmp'
  const folder = await mkdtemp(path.join(parent, 'guestd-vm-'))
  const removeAtExit = (): void => rmSync(folder, { recursive: true, force: true })
  process.once('exit', removeAtExit)
  const vhostSocket = path.join(folder, 'vhost.sock')
  return {
    vsock: path.join(folder, 'vsock.sock'),
    vhostSocket,
    console: path.join(folder, 'console.log'),
    initramfs: path.join(folder, 'initramfs'),
    hasVhostSocket: async () => existsSync(vhostSocket),
    remove: async () => {
      process.off('exit', removeAtExit)
      await rm(folder, { recursive: true, force: true })
    },
  }
}
