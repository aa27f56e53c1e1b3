/** Measures a folder by a walk through all of it, in a process of its own. */
import { runHelper } from '../sys/helper.ts'

export interface Walked {
  /** Allocated on the disk. A sparse file counts what is allocated, and a file with several names counts once. */
  readonly bytes: number
  /** Files and folders, without the folder itself. */
  readonly inodes: number
  /** Files and folders that could not be read. They and what is in them are not counted. */
  readonly unread: number
  /** Processor time of the walk, in milliseconds. */
  readonly cpuMs: number
}

/**
 * It stays on the mount and follows no symbolic link. It runs in a process that can be killed, so a slow disk blocks nothing,
 * and a large tree costs the daemon no memory and no time of its event loop.
 *
 * @throws HelperError
 */
export async function walkFolder(
  path: string,
  options: { readonly limitMs: number; readonly signal: AbortSignal },
): Promise<Walked> {
  const printed = (await runHelper('usage', [path], options)).toString()
  const [bytes = 0, inodes = 0, unread = 0, cpuUs = 0] = printed.trim().split(' ').map(Number)
  return { bytes, inodes, unread, cpuMs: cpuUs / 1_000 }
}
