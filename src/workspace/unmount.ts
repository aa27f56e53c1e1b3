/**
 * The end of a mounted volume: all that was written made durable, unmounted, and seen to be so.
 * Every system call that may hang has a limit.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { doStep, type Report, type Step } from '../events/steps.ts'
import type { Receipt, StopReason } from '../protocol/schemas.ts'
import type { BlockDevice } from '../sys/block-devices.ts'
import { type HelperCommand, HelperError, runHelper } from '../sys/helper.ts'
import { messageOf } from '../util/message-of.ts'
import type { ActivityTime } from '../volume/activity-time.ts'
import { type Content, contentWords, identify } from '../volume/content.ts'
import { clear, type Leftover } from './clear-mounts.ts'
import { readDirtyBytes } from './dirty-bytes.ts'
import { shutDownInner } from './flush-loops.ts'
import type { Flusher } from './flusher.ts'
import { NOT_IN_TIME, type Volume, whoHolds } from './mount-volume.ts'
import { takesDiscards, trim } from './trim.ts'

export interface UnmountOptions {
  readonly flusher: Flusher
  /** Gives up every descriptor on the file system: they would keep it busy. */
  readonly letGo: () => Promise<void>
  /** For the flush and what follows; after a flush that took it all, each call has 10 s still. */
  readonly limitMs: number
  readonly report: Report
  /** Stands in the mark, with the receipt. */
  readonly why: StopReason
  readonly lastActivity: ActivityTime
}

/** After a flush that took all of its time, what follows has this at least. */
const LEAST_LIMIT_MS = 10_000
/** Opening a device, a read of 68 KiB. With all that follows the flush it stays within a minute. */
const DEVICE_LIMIT_MS = 15_000
/** A process that was killed lets go of its files a moment after it is gone from its cgroup. */
const BUSY_ATTEMPTS = 20
const BUSY_WAIT_MS = 50
/** To shut down what is on loop devices of its files. */
const INNER_LIMIT_MS = 5_000
/** How long the search for holders runs before the shutdown, and after it. */
const SEARCH_LEAD_MS = 500
const SEARCH_LIMIT_MS = 6_000

/**
 * syncfs on the held descriptor, umount, an exclusive open of the device. A file system that stays
 * busy is shut down instead (FS_IOC_SHUTDOWN with flag 0): it is written out and clean, and later
 * writes fail. It is never unmounted lazily, which would leave it live.
 *
 * Never fails: what went wrong stands in the receipt.
 */
export async function unmountVolume(volume: Volume, options: UnmountOptions): Promise<Receipt> {
  const { flusher, limitMs, report, why: reason, lastActivity } = options
  const began = performance.now()
  const { device } = volume
  const errors: string[] = []
  const step = <T>(name: Step['name'], work: () => Promise<T>) => doStep(name, report, errors, work)

  let left: readonly Leftover[] = []
  let inner: readonly string[] = []
  const flushed = await step('flush', async () => {
    const before = flusher.errors.length
    await flusher.stop()
    const result = await flusher.flush()
    const remainingMs = () => Math.max(began + limitMs - performance.now(), LEAST_LIMIT_MS)
    const cleared = await clear(volume, began + limitMs - performance.now())
    left = cleared.left
    // What was unmounted wrote to the volume.
    const again = cleared.changed && !result.failed
    const last = again ? await flusher.flush(remainingMs()) : result
    inner = [...cleared.lost, ...last.uncovered]
    if (flusher.errors.length > before) throw new Error(flusher.errors.at(-1))
    return result
  })
  const flushMs = Math.round(performance.now() - began)
  // No data is lost where it fails.
  if (flushed !== null && takesDiscards(device))
    await doStep('trim', report, [], () => trim(volume.fd, began + limitMs - performance.now()))
  await options.letGo()
  const ended = await step('unmount', () => unmountOrShutDown(volume, left, began + limitMs))
  const { outcome, heldBy, uncovered } = ended ?? { outcome: 'none', heldBy: null, uncovered: [] }
  const content = await step('verify', () => verify(volume, outcome))
  const receipt = (): Receipt => {
    const failed = errors.filter(error => !error.startsWith('flush'))
    const all = [...flusher.errors, ...new Set([...inner, ...uncovered]), ...failed]
    return {
      at: new Date().toISOString(),
      generation: volume.history.generation,
      device: device.path,
      outcome,
      dirtyBytes: flushed?.dirtyBytes ?? readDirtyBytes(),
      flushMs,
      ms: Math.round(performance.now() - began),
      errorsSince: volume.errorsSince,
      errors: all,
      heldBy,
      clean: all.length === 0 && content !== null,
      reason,
    }
  }
  if (volume.history.generation !== null)
    await step('mark', () => volume.history.leave(receipt(), lastActivity))
  if (volume.image !== null && outcome === 'unmount')
    await step('detach', () => runHelper('detach', [device.path], { limitMs: DEVICE_LIMIT_MS }))
  volume.image?.release()
  return receipt()
}

interface Ended {
  readonly outcome: 'unmount' | 'shutdown'
  readonly heldBy: string | null
  /** What is not written out from devices that live on the volume, in words. */
  readonly uncovered: readonly string[]
}

async function unmountOrShutDown(
  { device, path }: Volume,
  left: readonly Leftover[],
  deadline: number,
): Promise<Ended> {
  const limitMs = () => Math.max(deadline - performance.now(), LEAST_LIMIT_MS)
  const run = (command: HelperCommand, ...args: string[]) =>
    runHelper(command, args, { limitMs: limitMs() })
  // A mount on it keeps it busy for sure.
  if (left.length === 0 && (await isUnmounted(() => run('unmount', path)))) {
    if (await isFree(device.path)) return { outcome: 'unmount', heldBy: null, uncovered: [] }
    // Another mount namespace has it: a mount of ours is the same file system again.
    await run('remount', device.path, path)
    const heldBy = await shutDown(device, left, () => run('shutdown', path))
    await run('unmount', path)
    return { outcome: 'shutdown', heldBy, uncovered: [] }
  }
  let uncovered: readonly string[] = []
  const heldBy = await shutDown(device, left, async () => {
    const drained = await shutDownInner({ device, path }, INNER_LIMIT_MS)
    uncovered = [...drained.lost, ...drained.uncovered]
    await run('shutdown', path)
  })
  return { outcome: 'shutdown', heldBy, uncovered }
}

/**
 * The search begins first, as a writer that gets an error may be gone at once. The shutdown does not wait for it
 * for long: until then the workspace can be written.
 *
 * @returns who held it
 */
async function shutDown(
  device: BlockDevice,
  left: readonly Leftover[],
  shutdown: () => Promise<unknown>,
): Promise<string> {
  const search = whoHolds(device, left).catch(error => `not found: ${messageOf(error)}`)
  const within = (ms: number) => Promise.race([search, sleep(ms, null, { ref: false })])
  await within(SEARCH_LEAD_MS)
  await shutdown()
  return (await within(SEARCH_LIMIT_MS)) ?? NOT_IN_TIME
}

/** False where it stays busy. */
async function isUnmounted(unmount: () => Promise<unknown>): Promise<boolean> {
  for (let attempt = 1; attempt <= BUSY_ATTEMPTS; attempt++) {
    if (attempt > 1) await new Promise(resolve => setTimeout(resolve, BUSY_WAIT_MS))
    try {
      await unmount()
      return true
    } catch (error) {
      if (!(error instanceof HelperError && error.errno === 'EBUSY')) throw error
    }
  }
  return false
}

/** What else is wrong with a device is for the verification to find. */
async function isFree(device: string): Promise<boolean> {
  try {
    await runHelper('open-exclusive', [device], { limitMs: DEVICE_LIMIT_MS })
    return true
  } catch (error) {
    if (!(error instanceof HelperError) || error.errno === 'ETIMEDOUT') throw error
    return error.errno !== 'EBUSY'
  }
}

/** @param before in bytes */
export function resizedWords(before: number, now: number): string {
  return `its file system was resized while it was in use, from ${before} to ${now} bytes`
}

/** Why it is not clean; `null`: it is. */
function problemOf(content: Content): string | null {
  if (content.kind !== 'ext4') return `it is ${contentWords(content)}, not ext4`
  if (content.hasErrors) return 'the kernel has found errors in its file system'
  return content.clean ? null : 'its file system has a journal to replay'
}

/**
 * Reads the superblock. After a shutdown the device is still held, and can be read all the same.
 *
 * @throws Error where it is not clean
 */
async function verify({ device, bytes }: Volume, outcome: Receipt['outcome']): Promise<Content> {
  const command = outcome === 'unmount' ? 'open-exclusive' : 'read-head'
  try {
    const content = identify(await runHelper(command, [device.path], { limitMs: DEVICE_LIMIT_MS }))
    if (content.kind === 'ext4' && content.bytes !== bytes)
      throw new Error(`${device.path}: ${resizedWords(bytes, content.bytes)}`)
    const problem = problemOf(content)
    if (problem !== null) throw new Error(`${device.path}: ${problem}`)
    return content
  } catch (error) {
    if (!(error instanceof HelperError && error.errno === 'EBUSY')) throw error
    throw new Error(`${device.path} is still in use by ${await whoHolds(device)}`)
  }
}
