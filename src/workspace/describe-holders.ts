/** Names what keeps a mounted volume, or its device, busy. */
import { type BlockDevice, findBlockDevice } from '../sys/block-devices.ts'
import { findHolders, holderWords } from '../sys/holders.ts'
import { findUnreadFds } from '../sys/unread-fds.ts'
import type { Leftover } from './clear-mounts.ts'

/** In place of holders, if the search reaches its limit. */
export const NOT_IN_TIME = 'not found in time'

/**
 * "sleep (pid 12, cwd), dm-0"; "" if it finds none; {@link NOT_IN_TIME}. If no process has the volume open, it names those
 * with unread descriptors in their sockets: one of these may be on the volume. Takes up to 10 s.
 *
 * @param left what stays mounted on it comes first, with the processes that hold the first one
 */
export async function describeHolders(
  device: BlockDevice,
  left: readonly Leftover[] = [],
): Promise<string> {
  const now = findBlockDevice(device.path)
  const other = left.find(one => one.device !== null && one.device !== device.number)?.device
  let isComplete = true
  const onUnseen = () => {
    isComplete = false
  }
  const [found, ofOther] = await Promise.all([
    findHolders(device.number, onUnseen),
    other ? findHolders(other) : [],
  ])
  const holders = ofOther.length > 0 ? ofOther : found
  const mounts = left.map(one => one.text)
  const text = holderWords(holders, [...mounts, ...(now?.holders ?? [])])
  if (text !== '') return text
  // Not in parallel: both searches would take twice as long.
  const unread = await findUnreadFds()
  if (unread.length === 0) return isComplete ? '' : NOT_IN_TIME
  return `perhaps ${holderWords(unread)}`
}
