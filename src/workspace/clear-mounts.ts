/** Takes away what commands have mounted on the volume, and made of files on it, so that it can be unmounted. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { BlockDevice } from '../sys/block-devices.ts'
import { type HelperCommand, HelperError, runHelper } from '../sys/helper.ts'
import { type LoopDevice, listLoops, staysSetUp } from '../sys/loops.ts'
import { listMounts, type Mount } from '../sys/mounts.ts'
import { listSwaps } from '../sys/swaps.ts'
import { firstOf } from '../util/cut-text.ts'
import { type Dependents, dependentsOf, mountsOver, sharedOutside } from './dependents.ts'

export interface Place {
  readonly device: Pick<BlockDevice, 'path' | 'number'>
  /** Where the volume is mounted. */
  readonly path: string
}

/** What could not be taken away. */
export interface Leftover {
  readonly words: string
  /** `MAJOR:MINOR` of its file system or device. */
  readonly device: string | null
}

export interface Cleared {
  /** There was something, and it may have written to the volume as it went. */
  readonly changed: boolean
  /** Loop devices that failed to write to their files, in words. */
  readonly lost: readonly string[]
  readonly left: readonly Leftover[]
}

/** All of it, where the caller gives no longer one. What is busy for longer stays: its holders are found and named. */
const CLEAR_LIMIT_MS = 5_000
/** One call: a FUSE or NFS that does not answer may hold it. */
const CALL_LIMIT_MS = 2_000
/** Without any progress: a process that was killed lets go of its files a moment later. */
const BUSY_LIMIT_MS = 1_000
const BUSY_WAIT_MS = 50
/** Swap files, and mounts, in one call: each has up to two paths of 4 KiB, and execve(2) takes 2 MiB. */
const MAX_MOUNTS = 128
/** A reader needs no more names than this. */
const MAX_WORDS = 8
const MAX_NAME_CHARACTERS = 200

/** @throws HelperError where loop devices cannot be listed */
export async function findDependents({ device, path }: Place): Promise<Dependents> {
  const loops = await listLoops(device.path)
  return dependentsOf(device.number, path, { mounts: listMounts(), loops, swaps: listSwaps() })
}

/**
 * Unmounts what is mounted on the volume, the newest first, and takes apart loop devices and swap of files on it. Nothing is
 * unmounted lazily or by force. Where there is nothing it takes less than a millisecond.
 *
 * Never fails.
 *
 * @param loopLimitMs where loop devices are among them: what is mounted on those is written out by its unmount. 5 s at least
 */
export async function clear(place: Place, loopLimitMs = CLEAR_LIMIT_MS): Promise<Cleared> {
  const began = performance.now()
  const find = () => findDependents(place).catch(() => null)
  let left = await find()
  const changed = left !== null && sizeOf(left) > 0
  let before = Number.POSITIVE_INFINITY
  let changedAt = performance.now()
  const lost: string[] = []
  let goesOn = false
  const hasLoops = left !== null && left.loops.length > 0
  const deadline = began + (hasLoops ? Math.max(loopLimitMs, CLEAR_LIMIT_MS) : CLEAR_LIMIT_MS)
  while (left !== null && sizeOf(left) > 0) {
    const now = performance.now()
    if (sizeOf(left) < before) changedAt = now
    if (now > deadline || (!goesOn && now > changedAt + BUSY_LIMIT_MS)) break
    if (sizeOf(left) === before) await sleep(BUSY_WAIT_MS)
    before = sizeOf(left)
    const taken = await takeAway(left, deadline)
    lost.push(...taken.lost)
    // The kernel goes on with it, as with the unmount of a file system that has much to write.
    goesOn ||= taken.timedOut
    left = await find()
  }
  return {
    changed,
    lost: lost.slice(0, MAX_WORDS),
    left: left === null ? [] : leftoversOf(left),
  }
}

/**
 * Unmounts what hides the volume at its own place, and nothing else.
 *
 * @returns what stays. Never fails
 */
export async function uncover({ device, path }: Place): Promise<readonly Leftover[]> {
  const deadline = performance.now() + CLEAR_LIMIT_MS
  const over = () => mountsOver(device.number, path, listMounts())
  await takeAway({ mounts: over(), loops: [], swaps: [] }, deadline)
  return over().map(mountLeft)
}

/**
 * A call that fails is not an error: the next search finds again what it did not take away.
 *
 * @returns the loop devices whose writes failed, in words, and whether a call took too long
 */
async function takeAway(
  { mounts, loops, swaps }: Dependents,
  deadline: number,
): Promise<{ readonly lost: readonly string[]; readonly timedOut: boolean }> {
  let timedOut = false
  const attempt = async (command: HelperCommand, args: readonly string[]) => {
    const limitMs = Math.min(deadline - performance.now(), CALL_LIMIT_MS)
    if (limitMs <= 0) return new HelperError(command, 'ETIMEDOUT', 'there is no time left')
    return await runHelper(command, args, { limitMs }).then(
      () => null,
      error => {
        timedOut ||= error instanceof HelperError && error.errno === 'ETIMEDOUT'
        return error instanceof HelperError ? error : new HelperError(command, 'EUNKNOWN', '')
      },
    )
  }
  const lost: string[] = []
  const newest = mounts.slice(-MAX_MOUNTS)
  const shared = newest.length === 0 ? [] : sharedOutside(mounts, listMounts())
  const secluded = new Map(shared.map(({ id, at }) => [id, at]))
  const steps = [
    ...swaps.slice(0, MAX_MOUNTS).flatMap(file => ['swapoff', file]),
    ...newest.toReversed().flatMap(({ parent, at }) => {
      const around = secluded.get(parent)
      // Directly before the unmount: until then a newer mount may hide the one around it.
      return around === undefined ? ['unmount', at] : ['seclude', around, 'unmount', at]
    }),
  ]
  if (steps.length > 0) await attempt('release', steps)
  // A detach of what is in use would take effect later.
  for (const loop of loops.toReversed()) {
    const { path } = loop
    // Its last close takes it apart. Another file may have the device already.
    if (!staysSetUp(loop)) continue
    const problem = await attempt('open-exclusive', [path])
    if (problem?.errno === 'EBUSY' || problem?.errno === 'ETIMEDOUT') continue
    // The kernel reports a failed write once. A device that is being taken apart fails, too, with all in its file.
    if (problem?.call === 'fsync' && staysSetUp(loop))
      lost.push(`${loopWords(loop)}: ${problem.message}`)
    await attempt('detach', [path])
  }
  return { lost, timedOut }
}

const sizeOf = ({ mounts, loops, swaps }: Dependents) => mounts.length + loops.length + swaps.length

function leftoversOf({ mounts, loops, swaps }: Dependents): readonly Leftover[] {
  return [
    ...mounts.map(mountLeft),
    ...loops.map(loopLeft),
    ...swaps.map(file => ({ words: `swap ${short(file)}`, device: null })),
  ].slice(0, MAX_WORDS)
}

function mountLeft(mount: Mount): Leftover {
  return { words: mountWords(mount), device: mount.device }
}

function loopLeft(loop: LoopDevice): Leftover {
  return { words: loopWords(loop), device: loop.parts[0]?.number ?? null }
}

/** `mount /mnt/workspace/t (tmpfs)` */
export function mountWords({ at, type }: Mount): string {
  return `mount ${short(at)} (${short(type)})`
}

/** `loop device /dev/loop3 (/mnt/workspace/disk.img)` */
export function loopWords({ path, file }: LoopDevice): string {
  return `loop device ${path} (${short(file)})`
}

const short = (text: string) => firstOf(text, MAX_NAME_CHARACTERS)
