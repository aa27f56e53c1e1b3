/** Removes what commands have mounted on the volume, or made of files on it, so that it can be unmounted. */
import type { BlockDevice } from '../sys/block-devices.ts'
import { type HelperCommand, HelperError, runHelper } from '../sys/helper.ts'
import { type LoopDevice, listLoops, staysSetUp } from '../sys/loops.ts'
import { listMounts, type Mount } from '../sys/mounts.ts'
import { listSwaps } from '../sys/swaps.ts'
import { firstOf } from '../util/cut-text.ts'
import { sleep } from '../util/sleep.ts'
import { type Dependents, dependentsOf, mountsOver, sharedOutside } from './dependents.ts'
import { CLEAR_LIMIT_MS, LIST_LIMIT_MS } from './stop-budget.ts'

export interface Place {
  readonly device: Pick<BlockDevice, 'path' | 'number'>
  /** Where the volume is mounted. */
  readonly path: string
}

/** What could not be removed. */
export interface Leftover {
  /** For people. */
  readonly text: string
  /** `MAJOR:MINOR` of its file system or device. */
  readonly device: string | null
}

export interface Cleared {
  /** There was something. Its removal may have written to the volume. */
  readonly changed: boolean
  /** Loop devices that failed to write to their files, as texts. */
  readonly lost: readonly string[]
  readonly left: readonly Leftover[]
}

/** One call, in milliseconds: a FUSE or NFS that does not answer may block it. */
const CALL_LIMIT_MS = 2_000
/** How long to go on without progress: a killed process closes its files a moment later. */
const BUSY_LIMIT_MS = 1_000
const BUSY_WAIT_MS = 50
/** Swap files, and mounts, in one call: each has up to two paths of 4 KiB, and execve(2) takes 2 MiB. */
const MAX_MOUNTS = 128
/** A reader needs no more. */
const MAX_TEXTS = 8
const MAX_NAME_CHARACTERS = 200

/** @throws HelperError if loop devices cannot be listed within the limit */
export async function findDependents(
  { device, path }: Place,
  limitMs?: number,
): Promise<Dependents> {
  const loops = await listLoops(device.path, limitMs)
  return dependentsOf(device.number, path, { mounts: listMounts(), loops, swaps: listSwaps() })
}

/**
 * Unmounts what is mounted on the volume, the newest first, detaches loop devices of its files, and ends swap to them.
 * It unmounts nothing lazily or by force. It takes less than a millisecond if there is nothing, else up to 6 s. Never
 * fails.
 *
 * @param loopDeadline a `performance.now()` time: with loop devices it may take until then, if that is later, as an
 *   unmount writes out what is on them
 */
export async function clear(place: Place, loopDeadline = 0): Promise<Cleared> {
  const began = performance.now()
  let deadline = began + CLEAR_LIMIT_MS
  const find = () =>
    findDependents(place, Math.max(deadline - performance.now(), LIST_LIMIT_MS)).catch(() => null)
  let left = await find()
  const changed = left !== null && sizeOf(left) > 0
  if (left !== null && left.loops.length > 0) deadline = Math.max(deadline, loopDeadline)
  let before = Number.POSITIVE_INFINITY
  let changedAt = performance.now()
  const lost: string[] = []
  let continues = false
  while (left !== null && sizeOf(left) > 0) {
    const now = performance.now()
    if (sizeOf(left) < before) changedAt = now
    if (now > deadline || (!continues && now > changedAt + BUSY_LIMIT_MS)) break
    if (sizeOf(left) === before) await sleep(BUSY_WAIT_MS)
    before = sizeOf(left)
    const removal = await remove(left, deadline)
    lost.push(...removal.lost)
    // The kernel continues a call that was given up, such as the unmount of a file system with much to write.
    continues ||= removal.timedOut
    left = await find()
  }
  return {
    changed,
    lost: lost.slice(0, MAX_TEXTS),
    left: left === null ? [] : leftoversOf(left),
  }
}

/**
 * Unmounts only what hides the volume at its own path. Never fails.
 *
 * @returns what stays
 */
export async function uncover({ device, path }: Place): Promise<readonly Leftover[]> {
  const deadline = performance.now() + CLEAR_LIMIT_MS
  const over = () => mountsOver(device.number, path, listMounts())
  await remove({ mounts: over(), loops: [], swaps: [] }, deadline)
  return over().map(mountLeft)
}

/**
 * A failed call is not an error: the next search finds again what is still there.
 *
 * @returns texts of the loop devices whose writes failed, and whether a call took too long
 */
async function remove(
  { mounts, loops, swaps }: Dependents,
  deadline: number,
): Promise<{ readonly lost: readonly string[]; readonly timedOut: boolean }> {
  let timedOut = false
  const attempt = async (command: HelperCommand, args: readonly string[]) => {
    const limitMs = Math.min(deadline - performance.now(), CALL_LIMIT_MS)
    if (limitMs <= 0) return new HelperError(command, 'ETIMEDOUT', 'no time is left')
    return await runHelper(command, args, { limitMs }).then(
      () => null,
      error => {
        timedOut ||= error instanceof HelperError && error.errno === 'ETIMEDOUT'
        return error instanceof HelperError ? error : new HelperError(command, 'EUNKNOWN', '')
      },
    )
  }
  const lost: string[] = []
  const steps = releaseSteps(mounts, swaps)
  if (steps.length > 0) await attempt('release', steps)
  for (const loop of loops.toReversed()) {
    const { path } = loop
    // Its last close detaches it. The device may show another file already.
    if (!staysSetUp(loop)) continue
    const problem = await attempt('open-exclusive', [path])
    // The detach of a device in use would take effect later.
    if (problem?.errno === 'EBUSY' || problem?.errno === 'ETIMEDOUT') continue
    // The kernel reports a failed write once. The fsync of a device that is being detached fails too, but loses nothing.
    if (problem?.call === 'fsync' && staysSetUp(loop))
      lost.push(`${loopText(loop)}: ${problem.message}`)
    await attempt('detach', [path])
  }
  return { lost, timedOut }
}

/** Arguments of the helper: swap first, then the newest mounts. */
function releaseSteps(mounts: readonly Mount[], swaps: readonly string[]): readonly string[] {
  const newest = mounts.slice(-MAX_MOUNTS)
  const shared = newest.length === 0 ? [] : sharedOutside(mounts, listMounts())
  const sharedAt = new Map(shared.map(({ id, at }) => [id, at]))
  return [
    ...swaps.slice(0, MAX_MOUNTS).flatMap(file => ['swapoff', file]),
    ...newest.toReversed().flatMap(({ parent, at }) => {
      const above = sharedAt.get(parent)
      // Directly before the unmount: until then a newer mount may hide the mount above.
      return above === undefined ? ['unmount', at] : ['seclude', above, 'unmount', at]
    }),
  ]
}

const sizeOf = ({ mounts, loops, swaps }: Dependents) => mounts.length + loops.length + swaps.length

function leftoversOf({ mounts, loops, swaps }: Dependents): readonly Leftover[] {
  return [
    ...mounts.map(mountLeft),
    ...loops.map(loopLeft),
    ...swaps.map(file => ({ text: `swap ${short(file)}`, device: null })),
  ].slice(0, MAX_TEXTS)
}

function mountLeft(mount: Mount): Leftover {
  return { text: mountText(mount), device: mount.device }
}

function loopLeft(loop: LoopDevice): Leftover {
  return { text: loopText(loop), device: loop.parts[0]?.number ?? null }
}

/** `mount /mnt/workspace/t (tmpfs)` */
export function mountText({ at, type }: Mount): string {
  return `mount ${short(at)} (${short(type)})`
}

/** `loop device /dev/loop3 (/mnt/workspace/disk.img)` */
export function loopText({ path, file }: LoopDevice): string {
  return `loop device ${path} (${short(file)})`
}

const short = (text: string) => firstOf(text, MAX_NAME_CHARACTERS)
