/** The workspace as an ext4 on a block device that guestd itself checks and mounts. */
import { fstatSync, mkdirSync, openSync } from 'node:fs'
import type { GuestdError } from '../errors.ts'
import {
  type BlockDevice,
  findBlockDevice,
  listBlockDevices,
  numberOf,
} from '../sys/block-devices.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { findHolders, holderWords } from '../sys/holders.ts'
import { listMounts, type Mount, mountAt } from '../sys/mounts.ts'
import { findUnreadFds } from '../sys/unread-fds.ts'
import { findUser } from '../sys/users.ts'
import { messageOf } from '../util/message-of.ts'
import type { ActivityTime } from '../volume/activity-time.ts'
import { contentWords } from '../volume/content.ts'
import { planBlank } from '../volume/format.ts'
import { sizeWords } from '../volume/identify-devices.ts'
import type { Owner } from '../volume/owner.ts'
import type { RetentionSettings } from '../volume/retention.ts'
import type { Ext4 } from '../volume/superblock.ts'
import { unavailable } from '../volume/unavailable.ts'
import { clear, type Leftover, uncover } from './clear-mounts.ts'
import { mountsOver } from './dependents.ts'
import { errorsOf } from './ext4-errors.ts'
import type { Image } from './image-file.ts'
import { type Found, findDevice, pendingOf, type Source } from './source.ts'
import { beginGeneration, continueGeneration, type History, type Start } from './volume-history.ts'

export interface Volume {
  readonly device: BlockDevice
  /** Its loop device is taken apart at the end. `null`: it is no image file. */
  readonly image: Image | null
  readonly path: string
  /**
   * Open on the root of the file system for as long as it is mounted: a failed write is told to
   * syncfs(2) once, and only on a descriptor that was open before.
   */
  readonly fd: number
  /** The mount of a daemon before this one was taken over. */
  readonly takenOver: boolean
  /** `restart`: errors from before this daemon are not known. */
  readonly errorsSince: 'mount' | 'restart'
  /** It held nothing but lost+found. */
  readonly fresh: boolean
  /** Where the file system ends, and its mark begins. */
  readonly bytes: number
  /** What its folder lost+found takes; 0: there is none. */
  readonly ownBytes: number
  /** Blocks that only root may use. */
  readonly hasReserve: boolean
  readonly history: History
}

export interface VolumeSettings extends RetentionSettings {
  readonly source: Exclude<Source, { kind: 'folder' }>
  /** Where it is mounted; made when it is missing. */
  readonly path: string
  /** Gets the root folder of a fresh one; `null` is guestd's own user. */
  readonly user: string | number | null
  /** What a daemon before this one held, if the service manager kept it; `null`: nothing. */
  readonly storedFd: number | null
  /** A blank device or image gets a file system. */
  readonly formatBlank: boolean
  /** Only its own session may have a volume. */
  readonly requireSession: boolean
  /** Whose it is to be; `null`: not known. */
  readonly owner: Owner | null
  now(): ActivityTime
  /** Never later than the host's time where that is known: by it a volume has expired. */
  earliest(): ActivityTime
  /** Aborted once guestd stops: a check that runs is cancelled, and nothing is mounted after it. */
  readonly cancel: AbortSignal
}

/** The replay of a journal takes seconds; ext4's multiple mount protection alone 45 s after a crash. */
const MOUNT_LIMIT_MS = 120_000
/** Writes nothing out, but may wait for a journal that does. */
const PROBE_LIMIT_MS = 30_000

/**
 * Finds the device, looks at what is on it, and mounts it; or takes over the mount that a daemon
 * before this one left.
 *
 * @throws GuestdError `workspace_unavailable` with the reason in plain words: nothing was mounted
 */
export async function mountVolume(settings: VolumeSettings): Promise<Volume> {
  const { path } = settings
  let found: Found | null = null
  try {
    found = await findDevice(settings.source, settings.formatBlank)
    const { device, image } = found
    checkDevice(found)
    const isMounted = isMountedAt(device, path)
    if (isMounted && found.content.kind !== 'ext4') throw notExt4(device, found.content)
    const takenOver = isMounted && (await takeOver(device, path))
    const { fresh, ownBytes, ext4, history } = takenOver
      ? await goOn(found, settings)
      : await mountDevice(found, settings)
    const kept = takenOver ? keptFd(settings.storedFd, device) : null
    const errorsSince = takenOver && kept === null ? 'restart' : 'mount'
    const fd = kept ?? openSync(path, 'r')
    return {
      device,
      image,
      path,
      fd,
      takenOver,
      errorsSince,
      fresh,
      bytes: ext4.bytes,
      ownBytes,
      hasReserve: ext4.reservedBlocks > 0,
      history,
    }
  } catch (error) {
    await found?.image?.giveUp()
    if (error instanceof HelperError) throw unavailable(error.message)
    throw error
  }
}

/** In place of holders, when the search ends at its limit. */
export const NOT_IN_TIME = 'not found in time'

/**
 * "sleep (pid 12, cwd), dm-0", or "" where none is seen, or {@link NOT_IN_TIME}. Where no process has it open, those whose sockets have
 * unread descriptors are named: one of these may be on it.
 *
 * @param left what stays mounted on it comes first, with those who hold the first one
 */
export async function whoHolds(
  device: BlockDevice,
  left: readonly Leftover[] = [],
): Promise<string> {
  const now = findBlockDevice(device.path)
  const other = left.find(one => one.device !== null && one.device !== device.number)?.device
  let isWhole = true
  const seeUnseen = () => {
    isWhole = false
  }
  const [found, ofOther] = await Promise.all([
    findHolders(device.number, seeUnseen),
    other ? findHolders(other) : [],
  ])
  const holders = ofOther.length > 0 ? ofOther : found
  const mounts = left.map(one => one.words)
  const words = holderWords(holders, [...mounts, ...(now?.holders ?? [])])
  if (words !== '') return words
  // Only then: beside each other both searches take twice as long.
  const unread = await findUnreadFds()
  if (unread.length === 0) return isWhole ? '' : NOT_IN_TIME
  return `perhaps ${holderWords(unread)}`
}

/** Only one that is open on this file system has seen its errors. */
function keptFd(fd: number | null, device: BlockDevice): number | null {
  if (fd === null) return null
  try {
    const stats = fstatSync(fd, { bigint: true })
    return stats.isDirectory() && numberOf(stats.dev) === device.number ? fd : null
  } catch {
    return null
  }
}

function checkDevice({ device: { path, bytes, readOnly }, content }: Found): void {
  if (content.kind === 'ext4' && content.bytes > bytes) {
    const sizes = `of ${sizeWords(content.bytes)} on a device of ${sizeWords(bytes)}`
    throw unavailable(`${path} has an ext4 ${sizes}: it has been cut off`)
  }
  if (readOnly && (content.kind === 'ext4' || content.kind === 'blank'))
    throw unavailable(`${path} is read-only`)
}

interface Begun {
  readonly fresh: boolean
  readonly ownBytes: number
  readonly ext4: Ext4
  readonly history: History
}

async function goOn({ device, content }: Found, settings: VolumeSettings): Promise<Begun> {
  const { path, owner } = settings
  if (content.kind !== 'ext4') throw notExt4(device, content)
  const history = await continueGeneration(device, content, owner)
  const own = await runHelper('own', [path], { limitMs: PROBE_LIMIT_MS })
  return { fresh: false, ownBytes: Number(own), ext4: content, history }
}

/** An ext4 as it is; a format that was cut off; or a blank device, where that is to be formatted. */
async function startOf({ device, content }: Found, formatBlank: boolean): Promise<Start> {
  if (content.kind === 'ext4') return { device, ext4: content, end: content.bytes, plan: null }
  const pending = pendingOf(content)
  if (pending !== null && content.kind === 'damaged') {
    const end = pending.blocks * pending.blockBytes
    if (content.markOffset === end) return { device, ext4: null, end, plan: null }
  }
  if (content.kind !== 'blank' || !formatBlank) throw notExt4(device, content)
  const plan = await planBlank(device)
  return { device, ext4: null, end: plan.blocks * plan.blockBytes, plan }
}

function notExt4({ path }: BlockDevice, content: Found['content']): GuestdError {
  return unavailable(`${path} is ${contentWords(content)}, not ext4`)
}

function isMountedAt(device: BlockDevice, path: string): boolean {
  const mount = mountAt(path)
  if (mount === null) return false
  if (mount.device !== device.number && mountsOver(device.number, path, listMounts()).length > 0)
    return true
  if (mount.device !== device.number)
    throw unavailable(
      `${nameOf(mount.source, mount.type, backingFileOf(mount))} is mounted at ${path} already`,
    )
  // After an error the kernel turns it read-only: then it is unmounted, checked and mounted anew.
  if (mount.readOnly && errorsOf(device.name) === 0)
    throw unavailable(`${device.path} is mounted at ${path} read-only`)
  return true
}

function backingFileOf({ device }: Mount): string | null {
  return listBlockDevices().find(({ number }) => number === device)?.backingFile ?? null
}

/** "/dev/loop0 (ext4, /var/lib/volume.img)": a loop device says nothing without its file. */
function nameOf(name: string, ...facts: readonly (string | null)[]): string {
  const known = facts.filter(fact => fact !== null)
  return known.length === 0 ? name : `${name} (${known.join(', ')})`
}

/**
 * Whether the mount can go on. What was shut down at the end of a daemon before this one answers
 * with what it has in memory and takes no more: it is unmounted, once nobody holds it.
 */
async function takeOver(device: BlockDevice, path: string): Promise<boolean> {
  const [over] = await uncover({ device, path })
  if (over !== undefined) {
    const by = await whoHolds(device, [over])
    throw unavailable(`${device.path} is mounted at ${path}, and hidden by ${by}`)
  }
  try {
    await runHelper('probe', [path], { limitMs: PROBE_LIMIT_MS })
    return true
  } catch (error) {
    const reason = messageOf(error)
    const { left } = await clear({ device, path })
    try {
      await runHelper('unmount', [path], { limitMs: MOUNT_LIMIT_MS })
      return false
    } catch {
      const by = await whoHolds(device, left)
      const held = by === '' ? '' : `, in use by ${by}`
      throw unavailable(`${device.path} is mounted at ${path}, cannot be written${held}: ${reason}`)
    }
  }
}

/** Nothing is written to it before it is known that nobody else uses it. */
async function mountDevice(found: Found, settings: VolumeSettings): Promise<Begun> {
  const { device, content } = found
  const { path, user, owner: ofSession, formatBlank } = settings
  const elsewhere = listMounts().find(mount => mount.device === device.number)
  if (elsewhere !== undefined)
    throw unavailable(
      `${nameOf(device.path, device.backingFile)} is mounted at ${elsewhere.at} already`,
    )
  // What is not ours is not even opened for writing.
  if (!formatBlank || content.kind !== 'blank') await startOf(found, formatBlank)
  mkdirSync(path, { recursive: true })
  await claim(device)
  const start = await startOf(found, formatBlank)
  const times = { now: settings.now(), earliest: settings.earliest() }
  const { history, ext4 } = await beginGeneration(
    start,
    ofSession,
    settings,
    times,
    settings.cancel,
  )
  const owner = ownerOf(user)
  try {
    const args = [device.path, path, String(owner.uid), String(owner.gid)]
    const printed = await runHelper('mount', args, { limitMs: MOUNT_LIMIT_MS })
    const [state, own] = printed.toString().trim().split(' ')
    return { fresh: state === 'fresh', ownBytes: Number(own), ext4, history }
  } catch (error) {
    await history.undo()
    throw error
  }
}

async function claim(device: BlockDevice): Promise<void> {
  try {
    await runHelper('open-exclusive', [device.path], { limitMs: PROBE_LIMIT_MS })
  } catch (error) {
    if (!(error instanceof HelperError && error.errno === 'EBUSY')) throw error
    const holders = await whoHolds(device)
    throw unavailable(`${device.path} is in use by ${holders === '' ? 'another' : holders}`)
  }
}

/** -1: the owner stays as it is. The user may be made later; commands look it up each time. */
function ownerOf(user: string | number | null): { readonly uid: number; readonly gid: number } {
  try {
    if (user !== null) return findUser(user)
  } catch {
    // `readyz` tells that there is no such user.
  }
  return { uid: -1, gid: -1 }
}
