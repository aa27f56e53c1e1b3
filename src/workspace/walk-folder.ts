/** What a folder holds: a walk of all of it, in a process of its own. */
import { runHelper } from '../sys/helper.ts'

export interface Walked {
  /** Allocated on the disk: sparse files count with what they have, a file with several names once. */
  readonly bytes: number
  /** Files and folders, itself not among them. */
  readonly inodes: number
  /** Files and folders that could not be read: they, and what is in them, are not counted. */
  readonly unread: number
  /** Processor time of the walk, in milliseconds. */
  readonly cpuMs: number
}

/**
 * It stays on the mount and follows no symbolic link. A process that can be given up, so that a slow
 * disk holds nobody, and a large tree costs the daemon neither memory nor its event loop.
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
