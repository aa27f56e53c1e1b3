/** Attaches an image file to a loop device, unless another guestd, machine or program uses it. */
import { realpathSync, statSync } from 'node:fs'
import { type BlockDevice, listBlockDevices } from '../sys/block-devices.ts'
import { LockedError, lockFile } from '../sys/file-lock.ts'
import { findFileUsers } from '../sys/file-users.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { listMounts } from '../sys/mounts.ts'
import { messageOf } from '../util/message-of.ts'
import { sleep } from '../util/sleep.ts'
import { type Content, contentWords } from '../volume/content.ts'
import { lookAt } from '../volume/identify-devices.ts'
import { accessText } from '../volume/image-users.ts'
import { unavailable } from '../volume/unavailable.ts'

export interface Image {
  /** Releases the lock, so that another guestd can use the file. The loop device stays. */
  release(): void
  /** After a failed start: detaches the loop device, unless it is mounted, and releases the lock. Never fails. */
  giveUp(): Promise<void>
}

export interface OpenedImage {
  readonly device: BlockDevice
  readonly content: Content
  readonly image: Image
}

/** In milliseconds. Attaching a loop device writes nothing. */
const LOOP_LIMIT_MS = 10_000
/** In milliseconds. A program that reads all devices, such as udev, has each open for some milliseconds. */
const ENDING_LIMIT_MS = 2_000
const ENDING_WAIT_MS = 20

/**
 * Two locks exclude other users. This process holds flock(2) on the file: one guestd at a time, on a local file system. The
 * loop device holds the lock that QEMU and guestctl take, until it is detached, even after a crash of guestd. A loop device
 * that an earlier guestd left is used again.
 *
 * @param isUsable whether a file with this content may be attached
 * @throws GuestdError `workspace_unavailable`, with the process that uses the file; nothing was changed
 */
export async function openImage(
  path: string,
  isUsable: (content: Content) => boolean,
): Promise<OpenedImage> {
  const file = realpathSync(path)
  const lock = lockImage(file)
  try {
    const content = await lookAt(path, statSync(file).size)
    if (!isUsable(content)) throw unavailable(`${path} is ${contentWords(content)}, not ext4`)
    const name = (await ownLoopOf(file)) ?? (await attach(file))
    const device = listBlockDevices().find(one => one.path === name)
    if (device === undefined) throw unavailable(`the loop device ${name} of ${path} has gone`)
    return { device, content, image: imageOf(device, lock) }
  } catch (error) {
    lock.release()
    throw error
  }
}

function imageOf(device: BlockDevice, lock: Lock): Image {
  return {
    release: lock.release,
    async giveUp() {
      try {
        if (await isUnused(device))
          await runHelper('detach', [device.path], { limitMs: LOOP_LIMIT_MS })
      } catch {
        // The next start uses it again.
      } finally {
        lock.release()
      }
    },
  }
}

/** In any mount namespace. The detach of a device in use would take effect at its last close. */
async function isUnused({ path, number }: BlockDevice): Promise<boolean> {
  if (listMounts().some(mount => mount.device === number)) return false
  await runHelper('open-exclusive', [path], { limitMs: LOOP_LIMIT_MS })
  return true
}

type Lock = ReturnType<typeof lockFile>

function lockImage(file: string): Lock {
  try {
    return lockFile(file)
  } catch (error) {
    const isHeld = error instanceof LockedError
    throw unavailable(`${file}${isHeld ? ' is in use' : ''}: ${messageOf(error)}`)
  }
}

/** The loop device of an earlier guestd, which has ended, as this one has the lock. @throws GuestdError for any other */
async function ownLoopOf(file: string): Promise<string | null> {
  const deadline = performance.now() + ENDING_LIMIT_MS
  for (;;) {
    const loops = await loopsOf(file)
    const paths = (kind: string) =>
      loops.flatMap(([one, path = '']) => (one === kind ? [path] : []))
    const [other] = paths('other')
    if (other !== undefined) throw unavailable(`${file} is in use: ${loopText(other)}`)
    const [ending] = paths('ending')
    if (ending === undefined) return paths('guestd')[0] ?? null
    if (performance.now() > deadline)
      throw unavailable(`${file} is in use: a process still has its loop device ${ending} open`)
    await sleep(ENDING_WAIT_MS)
  }
}

async function loopsOf(file: string): Promise<readonly (readonly string[])[]> {
  const printed = await runHelper('loops', [file], { limitMs: LOOP_LIMIT_MS })
  return printed
    .toString()
    .split('\n')
    .filter(line => line !== '')
    .map(line => line.split(' '))
}

function loopText(path: string): string {
  const device = listBlockDevices().find(one => one.path === path)
  const mount = listMounts().find(one => one.device === device?.number)
  const at = mount === undefined ? '' : `, mounted at ${mount.at}`
  return `${path} is a loop device of it that guestd did not make${at}`
}

/** Firecracker takes no lock: it only has the file open for writing. */
async function attach(file: string): Promise<string> {
  const users = await usersText(file)
  if (users !== '') throw unavailable(`${file} is in use: ${users}`)
  try {
    return (await runHelper('attach', [file], { limitMs: LOOP_LIMIT_MS })).toString().trim()
  } catch (error) {
    if (!(error instanceof HelperError && error.call === 'fcntl')) throw error
    const who = (await usersText(file)) || 'a process that cannot be seen has its lock'
    throw unavailable(`${file} is in use: ${who}`)
  }
}

/** `qemu-system-x86_64 -m 512 (pid 12) has its lock` */
async function usersText(file: string): Promise<string> {
  return (await findFileUsers(file))
    .map(({ pid, command, locks }) => `${command} (pid ${pid}) ${accessText(locks)}`)
    .join('; ')
}
