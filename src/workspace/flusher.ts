/** Makes what was written durable: at a request, and in the background while the machine has anything to write. */

import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { messageOf } from '../util/message-of.ts'
import { readDirtyBytes } from './dirty-bytes.ts'
import type { Health } from './file-system-health.ts'
import type { Drained } from './flush-loops.ts'

export interface Flushed {
  readonly dirtyBytes: number
  readonly flushMs: number
  /** The flush of the file system itself failed: `errors` of the flusher says why. */
  readonly failed: boolean
  /** What is on the volume, and may not be written out, in words. Another flush may do it. */
  readonly uncovered: readonly string[]
}

export interface Flusher {
  /**
   * Everything that was written before the call is durable when it resolves, or `errors` or `uncovered` says why not.
   * Calls while a flush runs share the next one, with the limit of the first of them.
   *
   * @param limitMs in place of that of the options
   */
  flush(limitMs?: number): Promise<Flushed>
  /** Failed writes and flushes since it began, the oldest first: each is data lost, whatever succeeds later. At most 16. */
  readonly errors: readonly string[]
  /** Ends the background; resolves when no flush runs any more. */
  stop(): Promise<void>
}

export interface FlusherOptions {
  /** On the file system, for syncfs(2). */
  readonly fd: number
  readonly limitMs: number
  /** How often the background checks whether the machine has anything to write; 0: never. */
  readonly everyMs: number
  readonly log: Log
  readonly emit: Emit
  /** Writes out what is on devices that live on the volume. Never fails. */
  readonly drain?: (limitMs: number) => Promise<Drained>
  /** Of a volume: it knows of failures that no call reports. */
  readonly health?: Pick<Health, 'failure' | 'refused'>
}

/** Of the limit of the flush, and only where loop devices are on the volume. */
const DRAIN_LIMIT_MS = 10_000
/** What the flush itself has at least after a long drain, within its limit. */
const LEAST_SYNC_MS = 10_000
/** A dying disk fails every flush: the first errors say enough. */
const MAX_ERRORS = 16

/** Calls that find a file system which takes no writes. */
const isRefusal = ({ call, errno }: HelperError) => call === 'fsync' || errno === 'EROFS'

export function createFlusher(options: FlusherOptions): Flusher {
  const { fd, limitMs, everyMs, log, emit, health, drain } = options
  const errors: string[] = []
  let running: Promise<unknown> | null = null
  let next: Promise<Flushed> | null = null

  const failed = (reason: string) => {
    if (errors.length < MAX_ERRORS) errors.push(`${new Date().toISOString()} ${reason}`)
    log.error({ reason }, 'the flush failed')
    emit({ type: 'flush_failed', reason })
  }

  /** A file system that takes no writes fails each flush with the same words. */
  const lose = (reason: string) => {
    if (errors.length < MAX_ERRORS && !errors.some(error => error.endsWith(` ${reason}`)))
      failed(reason)
  }

  const flushNow = async (limitMs: number): Promise<Flushed> => {
    const began = performance.now()
    const dirtyBytes = readDirtyBytes()
    const drained = await drain?.(Math.min(limitMs, DRAIN_LIMIT_MS))
    const { lost, uncovered } = drained ?? { lost: [], uncovered: [] }
    lost.forEach(lose)
    if (uncovered.length > 0) log.warn({ uncovered }, 'the flush does not cover all')
    let hasFailed = false
    try {
      const leftMs = limitMs - Math.round(performance.now() - began)
      await runHelper('sync', [], {
        limitMs: Math.max(leftMs, Math.min(limitMs, LEAST_SYNC_MS)),
        fd,
      })
      const failure = health?.failure() ?? null
      if (failure !== null) throw new Error(failure)
    } catch (error) {
      const reason = messageOf(error)
      if (error instanceof HelperError && isRefusal(error)) health?.refused(reason)
      failed(reason)
      hasFailed = true
    }
    const flushMs = Math.round(performance.now() - began)
    const flushed = { dirtyBytes, flushMs, failed: hasFailed, uncovered }
    log.debug(flushed, 'flushed')
    return flushed
  }

  const start = (within: number): Promise<Flushed> => {
    const flush = flushNow(within).finally(() => {
      running = null
    })
    running = flush
    return flush
  }

  /** A flush that runs already may miss what was written since it began. */
  const flush = (within = limitMs): Promise<Flushed> => {
    if (running === null) return start(within)
    next ??= running.then(() => {
      next = null
      return start(within)
    })
    return next
  }

  const background = () => {
    if (running !== null || readDirtyBytes() === 0) return
    // What cannot be written stays dirty for ever.
    if (errors.length === 0 || (health?.failure() ?? null) === null) void flush()
  }
  const timer = everyMs > 0 ? setInterval(background, everyMs).unref() : undefined

  return {
    flush,
    errors,
    async stop() {
      clearInterval(timer)
      while (running !== null) await running
    },
  }
}
