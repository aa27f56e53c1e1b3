/** An image file as a loop device that no other guestd, machine or program uses. */
import { realpathSync, statSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BlockDevice, listBlockDevices } from '../sys/block-devices.ts'
import { LockedError, lockFile } from '../sys/file-lock.ts'
import { findFileUsers } from '../sys/file-users.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { listMounts } from '../sys/mounts.ts'
import { messageOf } from '../util/message-of.ts'
import { type Content, contentWords } from '../volume/content.ts'
import { lookAt } from '../volume/identify-devices.ts'
import { unavailable } from '../volume/unavailable.ts'

export interface Image {
  /** Another guestd may have the file from now on. The loop device stays. */
  release(): void
  /** After a start that failed: takes the loop device apart, where nothing is mounted from it, and releases. */
  giveUp(): Promise<void>
}

export interface OpenedImage {
  readonly device: BlockDevice
  readonly content: Content
  readonly image: Image
}

/** Setting up a loop device writes nothing. */
const LOOP_LIMIT_MS = 10_000
/** A program that reads all devices, such as udev, has one open for some milliseconds. */
const ENDING_LIMIT_MS = 2_000
const ENDING_WAIT_MS = 20

/**
 * Two locks keep others out. This process has flock(2) on the file: one guestd at a time, on a local file system.
 * The loop device has the lock that QEMU and guestctl take, for as long as it lives, also after a crash of guestd.
 * A loop device that a guestd before this one left is taken over.
 *
 * @param isMeant what may be in the file
 * @throws GuestdError `workspace_unavailable`, with the name of the process that has the file; nothing was changed
 */
export async function openImage(
  path: string,
  isMeant: (content: Content) => boolean,
): Promise<OpenedImage> {
  const file = realpathSync(path)
  const lock = lockImage(file)
  try {
    const content = await lookAt(path, statSync(file).size)
    if (!isMeant(content)) throw unavailable(`${path} is ${contentWords(content)}, not ext4`)
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
        // The next start takes it over.
      } finally {
        lock.release()
      }
    },
  }
}

/** In any mount namespace. A detach of what is in use would take effect later, at its last close. */
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

/** Of a guestd that has ended: this one has the lock. A loop device that guestd did not make is not touched. */
async function ownLoopOf(file: string): Promise<string | null> {
  const deadline = performance.now() + ENDING_LIMIT_MS
  for (;;) {
    const loops = await loopsOf(file)
    const paths = (kind: string) =>
      loops.flatMap(([one, path = '']) => (one === kind ? [path] : []))
    const [other] = paths('other')
    if (other !== undefined) throw unavailable(`${file} is in use: ${loopWords(other)}`)
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

function loopWords(path: string): string {
  const device = listBlockDevices().find(one => one.path === path)
  const mount = listMounts().find(one => one.device === device?.number)
  const at = mount === undefined ? '' : `, mounted at ${mount.at}`
  return `${path} is a loop device of it that guestd did not make${at}`
}

/** Not every machine takes a lock: Firecracker has the file open for writing and no more. */
async function attach(file: string): Promise<string> {
  const users = await usersWords(file)
  if (users !== '') throw unavailable(`${file} is in use: ${users}`)
  try {
    return (await runHelper('attach', [file], { limitMs: LOOP_LIMIT_MS })).toString().trim()
  } catch (error) {
    if (!(error instanceof HelperError && error.call === 'fcntl')) throw error
    const who = (await usersWords(file)) || 'a process that cannot be seen has its lock'
    throw unavailable(`${file} is in use: ${who}`)
  }
}

/** `qemu-system-x86_64 -m 512 (pid 12) has its lock` */
async function usersWords(file: string): Promise<string> {
  return (await findFileUsers(file))
    .map(({ pid, command, locks }) => {
      const how = locks ? 'has its lock' : 'has it open for writing'
      return `${command} (pid ${pid}) ${how}`
    })
    .join('; ')
}
