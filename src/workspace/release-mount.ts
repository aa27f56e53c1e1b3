/** Takes a volume out of use: unmounts it, or shuts it down if it stays busy. */
import type { BlockDevice } from '../sys/block-devices.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { messageOf } from '../util/message-of.ts'
import { sleep } from '../util/sleep.ts'
import type { Leftover } from './clear-mounts.ts'
import { describeHolders, NOT_IN_TIME } from './describe-holders.ts'
import { shutDownInner } from './flush-loops.ts'
import type { StopBudget } from './stop-budget.ts'
import type { Volume } from './types.ts'

export interface Release {
  /** `none`: it failed. */
  readonly outcome: 'unmount' | 'shutdown' | 'none'
  /** What kept it busy, as a text; `null`: it was not busy. */
  readonly heldBy: string | null
  /** Data on inner devices that is not on the volume, as texts. */
  readonly uncovered: readonly string[]
}

/** Opening the device, in milliseconds. */
const DEVICE_LIMIT_MS = 15_000
/** A killed process closes its files a moment after it is gone from its cgroup. */
const BUSY_ATTEMPTS = 20
const BUSY_WAIT_MS = 50
/** To shut down what is on loop devices of files on the volume, in milliseconds. */
const INNER_LIMIT_MS = 5_000
/** How long the search for holders runs before the shutdown, and in all, in milliseconds. */
const SEARCH_LEAD_MS = 500
const SEARCH_LIMIT_MS = 6_000

/**
 * A volume that stays busy is shut down (FS_IOC_SHUTDOWN with flag 0): it is written out and clean, and later writes
 * fail. It is never unmounted lazily, as that would leave it in use.
 *
 * @throws HelperError
 */
export async function releaseMount(
  { device, path }: Volume,
  left: readonly Leftover[],
  budget: StopBudget,
): Promise<Release> {
  const shutdownCall = (command: 'unmount' | 'remount' | 'shutdown', ...args: string[]) =>
    runHelper(command, args, { limitMs: budget.leftMs('shutdown') })
  // A mount on the volume keeps it busy in any case.
  if (left.length === 0 && (await isUnmounted(path, budget))) {
    if (await isFree(device.path, budget))
      return { outcome: 'unmount', heldBy: null, uncovered: [] }
    // It is in use in another mount namespace. A new mount gives access to the same file system.
    await shutdownCall('remount', device.path, path)
    const heldBy = await shutDown(device, left, budget, () => shutdownCall('shutdown', path))
    await shutdownCall('unmount', path)
    return { outcome: 'shutdown', heldBy, uncovered: [] }
  }
  let uncovered: readonly string[] = []
  const heldBy = await shutDown(device, left, budget, async () => {
    const drained = await shutDownInner({ device, path }, budget.leftMs('shutdown', INNER_LIMIT_MS))
    uncovered = [...drained.lost, ...drained.uncovered]
    await shutdownCall('shutdown', path)
  })
  return { outcome: 'shutdown', heldBy, uncovered }
}

/**
 * The search for holders begins before the shutdown, as a process may end at the first failed write. The shutdown waits
 * only briefly for it: until then processes can write to the workspace.
 *
 * @returns the holders as a text
 */
async function shutDown(
  device: BlockDevice,
  left: readonly Leftover[],
  budget: StopBudget,
  shutdown: () => Promise<unknown>,
): Promise<string> {
  const search = describeHolders(device, left).catch(error => `not found: ${messageOf(error)}`)
  const within = (ms: number) =>
    Promise.race([search, sleep(ms, { ref: false }).then(() => NOT_IN_TIME)])
  await within(SEARCH_LEAD_MS)
  await shutdown()
  return await within(budget.leftMs('shutdown', SEARCH_LIMIT_MS))
}

/** False: it stays busy. @throws HelperError */
async function isUnmounted(path: string, budget: StopBudget): Promise<boolean> {
  for (let attempt = 1; attempt <= BUSY_ATTEMPTS; attempt++) {
    if (attempt > 1) await sleep(BUSY_WAIT_MS)
    const limitMs = budget.leftMs('unmount')
    if (limitMs === 0) return false
    try {
      await runHelper('unmount', [path], { limitMs })
      return true
    } catch (error) {
      if (!(error instanceof HelperError && error.errno === 'EBUSY')) throw error
    }
  }
  return false
}

/** Any other problem of the device is left to the verification. @throws HelperError ETIMEDOUT */
async function isFree(device: string, budget: StopBudget): Promise<boolean> {
  try {
    const limitMs = budget.leftMs('shutdown', DEVICE_LIMIT_MS)
    await runHelper('open-exclusive', [device], { limitMs })
    return true
  } catch (error) {
    if (!(error instanceof HelperError) || error.errno === 'ETIMEDOUT') throw error
    return error.errno !== 'EBUSY'
  }
}
