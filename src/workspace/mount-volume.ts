/** Finds, checks and mounts the ext4 of the workspace. */
import { mkdirSync, openSync } from 'node:fs'
import type { GuestdError } from '../errors.ts'
import type { BlockDevice } from '../sys/block-devices.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { listMounts } from '../sys/mounts.ts'
import { findUser } from '../sys/users.ts'
import { contentWords } from '../volume/content.ts'
import { planBlank } from '../volume/format.ts'
import { sizeText } from '../volume/size-text.ts'
import type { Ext4 } from '../volume/superblock.ts'
import { unavailable } from '../volume/unavailable.ts'
import { describeHolders } from './describe-holders.ts'
import { MOUNT_LIMIT_MS, PROBE_LIMIT_MS } from './mount-limits.ts'
import { type Found, findDevice, pendingOf } from './source.ts'
import { deviceText, isMountedAt, takeOver, usableFd } from './take-over.ts'
import type { Volume, VolumeSettings } from './types.ts'
import { beginGeneration, continueGeneration, type History, type Start } from './volume-history.ts'

/**
 * Finds the device, reads what is on it, and mounts it, or takes over the mount that an earlier guestd left.
 *
 * @throws GuestdError `workspace_unavailable` with the reason: nothing was mounted
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
      ? await continueMount(found, settings)
      : await mountDevice(found, settings)
    const kept = takenOver ? usableFd(settings.storedFd, device) : null
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

function checkDevice({ device: { path, bytes, readOnly }, content }: Found): void {
  if (content.kind === 'ext4' && content.bytes > bytes) {
    const sizes = `of ${sizeText(content.bytes)} on a device of ${sizeText(bytes)}`
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

async function continueMount({ device, content }: Found, settings: VolumeSettings): Promise<Begun> {
  const { path, owner } = settings
  if (content.kind !== 'ext4') throw notExt4(device, content)
  const history = await continueGeneration(device, content, owner)
  const own = await runHelper('own', [path], { limitMs: PROBE_LIMIT_MS })
  return { fresh: false, ownBytes: Number(own), ext4: content, history }
}

/** From an ext4, from a format that was interrupted, or from a blank device that is to be formatted. */
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

/** Writes nothing to the device before it is known to be free. */
async function mountDevice(found: Found, settings: VolumeSettings): Promise<Begun> {
  const { device, content } = found
  const { path, formatBlank } = settings
  const elsewhere = listMounts().find(mount => mount.device === device.number)
  if (elsewhere !== undefined)
    throw unavailable(
      `${deviceText(device.path, device.backingFile)} is mounted at ${elsewhere.at} already`,
    )
  // Refused before the device is opened for writing.
  if (!formatBlank || content.kind !== 'blank') await startOf(found, formatBlank)
  mkdirSync(path, { recursive: true })
  await checkFree(device)
  const start = await startOf(found, formatBlank)
  const times = { now: settings.now(), earliest: settings.earliest() }
  const { owner, cancel } = settings
  const { history, ext4 } = await beginGeneration(start, owner, settings, times, cancel)
  const { uid, gid } = idsOf(settings.user)
  try {
    const args = [device.path, path, String(uid), String(gid)]
    const printed = await runHelper('mount', args, { limitMs: MOUNT_LIMIT_MS })
    const [state, own] = printed.toString().trim().split(' ')
    return { fresh: state === 'fresh', ownBytes: Number(own), ext4, history }
  } catch (error) {
    await history.undo()
    throw error
  }
}

/** @throws GuestdError `workspace_unavailable` if another process or device uses it */
async function checkFree(device: BlockDevice): Promise<void> {
  try {
    await runHelper('open-exclusive', [device.path], { limitMs: PROBE_LIMIT_MS })
  } catch (error) {
    if (!(error instanceof HelperError && error.errno === 'EBUSY')) throw error
    const holders = await describeHolders(device)
    throw unavailable(`${device.path} is in use by ${holders === '' ? 'another' : holders}`)
  }
}

/** -1 leaves the owner as it is. The user may be created later; each command looks it up. */
function idsOf(user: string | number | null): { readonly uid: number; readonly gid: number } {
  try {
    if (user !== null) return findUser(user)
  } catch {
    // Readiness reports that there is no such user.
  }
  return UNCHANGED
}

const UNCHANGED = { uid: -1, gid: -1 }
