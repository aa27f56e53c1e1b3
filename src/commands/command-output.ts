/** The output of one command: its pipes, its log, its readers, and the lease of its starter. */
import type { BlockPool } from './blocks.ts'
import type { Budget, BudgetMember } from './budget.ts'
import { drain } from './drain-pipes.ts'
import type { Life } from './life.ts'
import { createOutputLog, type OutputLog } from './output-log.ts'
import { createOutputPipes, type OutputPipes } from './output-pipes.ts'
import { createReader, type LogReader } from './reader.ts'
import { createStarterLease, type StarterLease } from './starter-lease.ts'
import type { AttachOptions, FrameReader } from './types.ts'

export interface OutputSettings {
  readonly ringBytes: number
  /** Bytes by which a starter may lag before the command waits. */
  readonly fullMark: number
  /** Where the memory of the log comes from. */
  readonly pool: BlockPool
  readonly reattachGraceMs: number
}

export interface Output {
  readonly log: OutputLog
  readonly lease: StarterLease
  readonly pipes: OutputPipes
  /** It has a reader, or its starter may come back. */
  readonly isRead: boolean
  /** Wakes the readers: `life` has changed. */
  wake(): void
  /** @param cut called when the reader had the starter's role and was closed before its end */
  attach(options: AttachOptions, cut: () => void): FrameReader
  /** Calls `drained` once the content of the pipes at the exit is read, unless they end before: see drain-pipes.ts. */
  drain(drained: () => void): void
  /** Frees the memory once its readers are closed. */
  discard(): void
}

/**
 * Most bytes that two pipes add to a starter's lag at the exit, when all that they hold is read: an unprivileged user
 * may enlarge each to 1 MiB (pipe(7)).
 */
const PENDING_BYTES = 2 * 1024 * 1024
/** Into smaller blocks bytes are copied: a read of so few bytes costs more than the copy. */
const LEAST_DIRECT_BYTES = 64 * 1024

/** @param closed called once, when every pipe has reached its end; `life.closed` is set then */
export function createOutput(
  life: Life,
  budget: Budget,
  settings: OutputSettings,
  closed: () => void,
): Output {
  const { ringBytes, fullMark, pool, reattachGraceMs: graceMs } = settings
  const reserveBytes = () => reserveOf(log, lease.place, settings)
  const log = createOutputLog(ringBytes, 0, reserveBytes, pool)
  const readers = new Set<LogReader>()
  let isDiscarded = false
  /** `null` once called: the output of an ended command outlives the rest of it. */
  let onClosed: (() => void) | null = closed

  const wake = () => {
    for (const reader of readers) reader.wake()
  }

  const pipes = createOutputPipes({
    log,
    readsDirectly: pool.blockBytes >= LEAST_DIRECT_BYTES,
    entered() {
      budget.enforce(member)
      lease.check()
      wake()
    },
    closed() {
      life.closed = true
      onClosed?.()
      onClosed = null
      wake()
    },
  })
  const { pause, resume } = pipes
  const lease = createStarterLease({ lagFrom: log.lagFrom, fullMark, graceMs, pause, resume })
  const member = budgetMember(life, log, reserveBytes)
  budget.add(member)

  const freeIfUnread = () => {
    if (!isDiscarded || readers.size > 0) return
    lease.release()
    budget.remove(member)
  }

  return {
    log,
    lease,
    pipes,
    get isRead() {
      return readers.size > 0 || lease.place !== null
    },
    wake,
    attach(options, cut) {
      const reader = createReader(log, life, options, pool, {
        advanced: lease.check,
        finished: () => lease.done(place),
        cut: () => {
          if (lease.cut(place)) cut()
        },
        closed: () => {
          readers.delete(reader)
          freeIfUnread()
        },
      })
      const place = () => reader.cursor
      readers.add(reader)
      if (options.hold) lease.take(place)
      return reader
    },
    drain: drained =>
      drain({ pipes: pipes.readers, isOver: () => life.end !== null || life.closed, drained }),
    discard() {
      for (const pipe of pipes.readers) pipe.destroy()
      isDiscarded = true
      freeIfUnread()
    },
  }
}

function budgetMember(life: Life, log: OutputLog, reserveBytes: () => number): BudgetMember {
  return {
    log,
    get ended() {
      return life.end !== null
    },
    get isOver() {
      return life.end !== null && life.closed
    },
    get reserveBytes() {
      return reserveBytes()
    },
  }
}

/**
 * Memory that is kept for a starter at `place`: what it has not read, and up to as much again that may be in transit
 * when its stream is cut. Pipes that only root can make larger do not raise it: a starter that lags by more gets a gap.
 */
function reserveOf(
  log: OutputLog,
  place: number | null,
  { ringBytes, fullMark }: OutputSettings,
): number {
  if (place === null) return 0
  const mostBytes = ringBytes + 3 * fullMark + PENDING_BYTES
  // Its memory is at most twice its bytes, unless they are many small segments.
  const most = Math.min(log.costFrom(place) + 2 * fullMark, mostBytes)
  return Math.min(log.costFrom(Math.max(0, place - fullMark)), most)
}
