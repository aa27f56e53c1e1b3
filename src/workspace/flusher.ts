/** Makes written data durable: on request, and in the background while the machine has dirty pages. */

import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { messageOf } from '../util/message-of.ts'
import { createSharedRun } from '../util/shared-run.ts'
import { readDirtyBytes } from './dirty-bytes.ts'
import type { Health } from './file-system-health.ts'
import { type Drained, type InnerLoops, NONE } from './flush-loops.ts'
import { LEAST_FLUSH_MS } from './stop-budget.ts'

export interface Flushed {
  readonly dirtyBytes: number
  readonly flushMs: number
  /** The flush of the file system itself failed: `errors` of the flusher says why. */
  readonly failed: boolean
  /** Data on inner devices that may not be on the volume yet, as texts. Another flush may write it. */
  readonly uncovered: readonly string[]
}

export interface Flusher {
  /**
   * Everything that was written before the call is durable when it resolves, or `errors` or `uncovered` says why not.
   * Calls during a flush share the next one. Never fails.
   */
  flush(): Promise<Flushed>
  /**
   * Failed writes and flushes so far, the oldest first, as texts with their time. Each one is lost data, whatever
   * succeeds later. At most 16.
   */
  readonly errors: readonly string[]
  /**
   * Stops the background flushes. A flush that begins from now on ends by the deadline, but always has 5 s.
   *
   * @param deadline a `performance.now()` time
   */
  finish(deadline: number): void
}

export interface FlusherOptions {
  /** On the file system, for syncfs(2). */
  readonly fd: number
  /** Limit of one flush, in milliseconds. */
  readonly limitMs: number
  /** How often the background looks for dirty pages, in milliseconds; 0: never. */
  readonly everyMs: number
  readonly log: Log
  readonly emit: Emit
  /** Loop devices of files on the file system. */
  readonly inner?: InnerLoops
  /** Of a volume: failures that no system call reports. */
  readonly health?: Pick<Health, 'failure' | 'refused'>
}

/** Longest time for inner devices, in milliseconds. The flush itself keeps at least half of the limit. */
const DRAIN_LIMIT_MS = 10_000

export function createFlusher(options: FlusherOptions): Flusher {
  const { limitMs, everyMs, log, health } = options
  const failures = createFailureList(options)
  const runs = createSharedRun<Flushed>()
  let deadline = Number.POSITIVE_INFINITY
  const currentLimit = () =>
    Math.min(limitMs, Math.max(Math.round(deadline - performance.now()), LEAST_FLUSH_MS))

  const flushNow = async (): Promise<Flushed> => {
    const began = performance.now()
    const dirtyBytes = readDirtyBytes()
    const { drained, error } = await writeOut(options, currentLimit())
    drained.lost.forEach(failures.add)
    const { uncovered } = drained
    if (uncovered.length > 0) log.warn({ uncovered }, 'the flush does not cover everything')
    if (error !== null) {
      const reason = messageOf(error)
      if (error instanceof HelperError && isRefusal(error)) health?.refused(reason)
      failures.addAgain(reason)
    }
    const flushMs = Math.round(performance.now() - began)
    const flushed = { dirtyBytes, flushMs, failed: error !== null, uncovered }
    log.debug(flushed, 'flushed')
    return flushed
  }
  const flush = () => runs.run(flushNow)

  const background = () => {
    if (runs.isRunning || readDirtyBytes() === 0) return
    // A file system that has failed keeps its dirty pages for ever.
    if (failures.texts.length === 0 || (health?.failure() ?? null) === null) void flush()
  }
  const timer = everyMs > 0 ? setInterval(background, everyMs).unref() : undefined

  return {
    flush,
    errors: failures.texts,
    finish(at) {
      clearInterval(timer)
      deadline = at
    },
  }
}

interface WrittenOut {
  readonly drained: Drained
  /** Why the file system itself is not flushed; `null`: it is. */
  readonly error: unknown
}

/**
 * Calls syncfs(2), while it looks for inner devices in parallel. If there are any, it flushes them and calls syncfs(2)
 * again, as their data is in files on the volume then. Ends within the limit. Never fails.
 */
async function writeOut(
  { fd, inner, health }: FlusherOptions,
  limitMs: number,
): Promise<WrittenOut> {
  const deadline = performance.now() + limitMs
  const sync = async (ms: number): Promise<unknown> => {
    try {
      await runHelper('sync', [], { limitMs: ms, fd })
      const failure = health?.failure() ?? null
      return failure === null ? null : new Error(failure)
    } catch (error) {
      return error
    }
  }
  const leftMs = () => Math.max(Math.round(deadline - performance.now()), 0)
  const [error, found] = await Promise.all([sync(limitMs), inner?.find(limitMs) ?? NONE])
  const drained = await found.drain(Math.min(leftMs() / 2, DRAIN_LIMIT_MS))
  if (error !== null || !found.present) return { drained, error }
  return { drained, error: await sync(leftMs()) }
}

/** Calls that fail on a file system that takes no writes. */
const isRefusal = ({ call, errno }: HelperError) => call === 'fsync' || errno === 'EROFS'

/** A dying disk fails every flush: the first errors are enough. */
const MAX_FAILURES = 16

function createFailureList({ log, emit }: FlusherOptions) {
  const texts: string[] = []
  const reasons = new Set<string>()
  const report = (reason: string) => {
    if (texts.length < MAX_FAILURES) {
      reasons.add(reason)
      texts.push(`${new Date().toISOString()} ${reason}`)
    }
    log.error({ reason }, 'the flush failed')
    emit({ type: 'flush_failed', reason })
  }
  return {
    texts,
    /** An inner file system that takes no writes fails each flush with the same reason, which counts once. */
    add(reason: string) {
      if (texts.length < MAX_FAILURES && !reasons.has(reason)) report(reason)
    },
    /** Each failed flush of the volume counts. */
    addAgain: report,
  }
}
