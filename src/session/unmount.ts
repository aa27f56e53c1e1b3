/**
 * The end of a mounted volume: all that was written made durable, unmounted, and seen to be so.
 * Every system call that may hang has a limit.
 */
import { readFileSync } from 'node:fs'
import { type HelperCommand, HelperError, runHelper } from '../sys/helper.ts'
import type { Receipt, Report } from './receipt.ts'
import { type Content, identify } from './superblock.ts'
import { letGo, type Volume, whoHolds } from './volume.ts'

/** After a flush that took all of its time, what follows has this at least. */
const LEAST_LIMIT_MS = 10_000
/** Opening a device, a read of 68 KiB. */
const DEVICE_LIMIT_MS = 30_000
/** A process that was killed lets go of its files a moment after it is gone from its cgroup. */
const BUSY_ATTEMPTS = 20
const BUSY_WAIT_MS = 50
/** How often a flush that takes long is told. */
const TELL_MS = 1_000

/**
 * syncfs on the held descriptor, umount, an exclusive open of the device. A file system that stays
 * busy is shut down instead (FS_IOC_SHUTDOWN with flag 0): it is written out and clean, and later
 * writes fail. It is never unmounted lazily, which would leave it live.
 *
 * Never fails: what went wrong stands in the receipt.
 */
export async function unmountVolume(
  volume: Volume,
  limits: { readonly flushLimitMs: number },
  report: Report,
): Promise<Receipt> {
  const began = performance.now()
  const errors: string[] = []
  const step = async <T>(name: string, work: () => Promise<T>): Promise<T | null> => {
    const from = performance.now()
    const ms = () => Math.round(performance.now() - from)
    const timer = setInterval(() => report({ name, state: 'running', ms: ms() }), TELL_MS)
    report({ name, state: 'started', ms: 0 })
    try {
      const result = await work()
      report({ name, state: 'done', ms: ms() })
      return result
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      errors.push(`${name}: ${reason}`)
      report({ name, state: 'failed', ms: ms(), reason })
      return null
    } finally {
      clearInterval(timer)
    }
  }

  const dirtyBytes = readDirtyBytes()
  const { device, fd } = volume
  const deadline = began + limits.flushLimitMs
  const flushFrom = performance.now()
  await step('flush', () => runHelper('sync', [], { limitMs: limits.flushLimitMs, fd }))
  const flushMs = Math.round(performance.now() - flushFrom)
  letGo(volume)
  const ended = await step('unmount', () => unmountOrShutDown(volume, deadline))
  const { how, heldBy } = ended ?? { how: 'none', heldBy: null }
  const content = await step('verify', () => verify(volume, how))
  if (volume.isOurLoop && how === 'unmount')
    await step('detach', () => runHelper('detach', [device.path], { limitMs: DEVICE_LIMIT_MS }))
  return {
    at: new Date().toISOString(),
    generation: null,
    device: device.path,
    how,
    dirtyBytes,
    flushMs,
    ms: Math.round(performance.now() - began),
    errorsSince: volume.takenOver ? 'restart' : 'mount',
    errors,
    heldBy,
    clean: errors.length === 0 && content?.kind === 'ext4' && content.clean && !content.hasErrors,
  }
}

/** What the machine has yet to write, all file systems together: proc(5), /proc/meminfo. */
export function readDirtyBytes(): number {
  const text = readFileSync('/proc/meminfo', 'utf8')
  const kib = (name: string) => Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  return (kib('Dirty') + kib('Writeback')) * 1_024
}

interface Ended {
  readonly how: Receipt['how']
  readonly heldBy: string | null
}

async function unmountOrShutDown({ device, path }: Volume, deadline: number): Promise<Ended> {
  const limitMs = () => Math.max(deadline - performance.now(), LEAST_LIMIT_MS)
  const run = (command: HelperCommand, ...args: string[]) =>
    runHelper(command, args, { limitMs: limitMs() })
  if (await isUnmounted(() => run('unmount', path))) {
    if (await isFree(device.path)) return { how: 'unmount', heldBy: null }
    // Another mount namespace has it: a mount of ours is the same file system again.
    await run('rejoin', device.path, path)
    const heldBy = await whoHolds(device)
    await run('shutdown', path)
    await run('unmount', path)
    return { how: 'shutdown', heldBy }
  }
  // Looked for first: a writer that gets an error may be gone at once.
  const heldBy = await whoHolds(device)
  await run('shutdown', path)
  return { how: 'shutdown', heldBy }
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

async function isFree(device: string): Promise<boolean> {
  try {
    await runHelper('claim', [device], { limitMs: DEVICE_LIMIT_MS })
    return true
  } catch (error) {
    if (error instanceof HelperError && error.errno === 'EBUSY') return false
    throw error
  }
}

/** After a shutdown the device is still held; its superblock tells all the same. */
async function verify({ device }: Volume, how: Receipt['how']): Promise<Content> {
  const command = how === 'unmount' ? 'claim' : 'read'
  try {
    return identify(await runHelper(command, [device.path], { limitMs: DEVICE_LIMIT_MS }))
  } catch (error) {
    if (!(error instanceof HelperError && error.errno === 'EBUSY')) throw error
    throw new Error(`${device.path} is still in use by ${await whoHolds(device)}`)
  }
}
