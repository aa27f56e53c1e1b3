/**
 * The end of a mounted volume: flushed, unmounted, verified, and marked. Every system call that may hang runs in
 * guestd-helper with a limit.
 */
import {
  doStep,
  type Report,
  type Step,
  type StepFailure,
  stepFailureText,
} from '../events/steps.ts'
import type { Receipt, StopReason } from '../protocol/schemas.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { sleep } from '../util/sleep.ts'
import type { ActivityTime } from '../volume/activity-time.ts'
import { type Content, contentWords, identify } from '../volume/content.ts'
import { type Cleared, clear } from './clear-mounts.ts'
import { describeHolders, NOT_IN_TIME } from './describe-holders.ts'
import { readDirtyBytes } from './dirty-bytes.ts'
import { resizedText } from './file-system-health.ts'
import type { Flushed, Flusher } from './flusher.ts'
import { type Release, releaseMount } from './release-mount.ts'
import type { StopBudget } from './stop-budget.ts'
import { takesDiscards, trim } from './trim.ts'
import type { Volume } from './types.ts'

export interface UnmountOptions {
  readonly flusher: Flusher
  /** Closes every descriptor on the file system: an open one would keep it busy. */
  readonly letGo: (limitMs: number) => Promise<void>
  readonly budget: StopBudget
  readonly report: Report
  /** Stored in the mark, with the receipt. */
  readonly reason: StopReason
  readonly lastActivity: ActivityTime
}

/** Opening a device, a read of 68 KiB, in milliseconds. */
const DEVICE_LIMIT_MS = 15_000

/** Runs the steps within the budget. Never fails: the receipt has the errors. */
export async function unmountVolume(volume: Volume, options: UnmountOptions): Promise<Receipt> {
  const { flusher, budget, report, reason, lastActivity } = options
  const began = performance.now()
  const { device } = volume
  const failures: StepFailure[] = []
  const step = <T>(name: Step['name'], work: () => Promise<T>) =>
    doStep(name, report, failures, work)

  const flushed = await flushStep(volume, options, failures)
  const flushMs = Math.round(performance.now() - began)
  // A failed trim loses no data, so it is no error of the receipt.
  if (flushed !== null && !flushed.failed && takesDiscards(device))
    await doStep('trim', report, [], () =>
      trim(volume.fd, budget.deadline('flush') - performance.now()),
    )
  await options.letGo(budget.leftMs('storedFd'))
  const left = flushed?.cleared.left ?? []
  const released: Release = (await step('unmount', () => releaseMount(volume, left, budget))) ?? {
    outcome: 'none',
    heldBy: null,
    uncovered: [],
  }
  const { outcome, heldBy } = released
  const content = await step('verify', () => verify(volume, outcome, budget))
  const inner = new Set([...(flushed?.uncovered ?? []), ...released.uncovered])
  const receipt = (): Receipt => {
    const errors = [...flusher.errors, ...inner, ...failures.map(stepFailureText)]
    return {
      at: new Date().toISOString(),
      generation: volume.history.generation,
      device: device.path,
      outcome,
      dirtyBytes: flushed?.dirtyBytes ?? readDirtyBytes(),
      flushMs,
      ms: Math.round(performance.now() - began),
      errorsSince: volume.errorsSince,
      errors,
      heldBy,
      clean: errors.length === 0 && content !== null,
      reason,
    }
  }
  if (volume.history.generation !== null)
    await step('mark', () => volume.history.leave(receipt(), lastActivity, budget.deadline('mark')))
  if (volume.image !== null && outcome === 'unmount')
    await step('detach', () =>
      runHelper('detach', [device.path], { limitMs: budget.leftMs('detach', DEVICE_LIMIT_MS) }),
    )
  volume.image?.release()
  return receipt()
}

interface FlushedForStop extends Flushed {
  readonly cleared: Cleared
}

/**
 * Flushes, removes what commands have left on the volume, and flushes again if that has changed anything.
 *
 * @returns `null`: it could not be done, and `failures` says why. Failed flushes are in the errors of the flusher
 */
async function flushStep(
  volume: Volume,
  { flusher, budget, report }: UnmountOptions,
  failures: StepFailure[],
): Promise<FlushedForStop | null> {
  const done: { flushed: FlushedForStop | null } = { flushed: null }
  const failed: StepFailure[] = []
  await doStep('flush', report, failed, async () => {
    const before = flusher.errors.length
    flusher.finish(budget.deadline('flush'))
    const first = await flusher.flush()
    const cleared = await clear(volume, budget.deadline('flush'))
    const again = cleared.changed && !first.failed
    const last = again ? await flusher.flush() : first
    const failed = first.failed || last.failed
    done.flushed = { ...first, failed, cleared, uncovered: [...cleared.lost, ...last.uncovered] }
    // Reported as a failed step; the receipt has it from the flusher, with its time.
    if (flusher.errors.length > before) throw new Error(flusher.errors.at(-1))
  })
  if (done.flushed === null) failures.push(...failed)
  return done.flushed
}

/**
 * Reads the superblock. After an unmount it needs the device for itself; after a shutdown the device is still in use,
 * and can be read.
 *
 * @throws Error if the file system is not clean
 */
async function verify(
  { device, bytes }: Volume,
  outcome: Receipt['outcome'],
  budget: StopBudget,
): Promise<Content> {
  const command = outcome === 'unmount' ? 'open-exclusive' : 'read-head'
  const limitMs = budget.leftMs('verify', DEVICE_LIMIT_MS)
  try {
    const content = identify(await runHelper(command, [device.path], { limitMs }))
    if (content.kind === 'ext4' && content.bytes !== bytes)
      throw new Error(`${device.path}: ${resizedText(bytes, content.bytes)}`)
    const problem = problemOf(content)
    if (problem !== null) throw new Error(`${device.path}: ${problem}`)
    return content
  } catch (error) {
    if (!(error instanceof HelperError && error.errno === 'EBUSY')) throw error
    const late = sleep(budget.leftMs('verify'), { ref: false }).then(() => NOT_IN_TIME)
    const holders = await Promise.race([describeHolders(device), late])
    throw new Error(`${device.path} is still in use by ${holders}`)
  }
}

/** Why it is not clean; `null`: it is. */
function problemOf(content: Content): string | null {
  if (content.kind !== 'ext4') return `it is ${contentWords(content)}, not ext4`
  if (content.hasErrors) return 'the kernel has found errors in its file system'
  return content.clean ? null : 'its file system has a journal to replay'
}
