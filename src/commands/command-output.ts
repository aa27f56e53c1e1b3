/** The output of one command: its pipes, its log, who reads it, and who may make it wait. */
import type { StreamName } from '../protocol/frames.ts'
import { outputPipe, type PipeReader, readPipe } from '../sys/pipes.ts'
import type { BlockPool } from './blocks.ts'
import type { Budget, BudgetMember } from './budget.ts'
import { drain, readPending } from './drain-pipes.ts'
import { createIntake } from './intake.ts'
import type { Life } from './life.ts'
import { createOutputLog, type OutputLog } from './output-log.ts'
import { createReader, type LogReader } from './reader.ts'
import { createHold, type Hold } from './starter-lease.ts'
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
  readonly hold: Hold
  /** Somebody reads it, or may come back to do so. */
  readonly isRead: boolean
  /** Makes a pipe for a stream. Returns the end for the child. */
  open(stream: StreamName): number
  /** Begins to read the pipes. */
  read(): void
  /** Something has happened in the command's life that readers may tell. */
  wake(): void
  /** @param cut called when the reader had the starter's role and was given up before its end */
  attach(options: AttachOptions, cut: () => void): FrameReader
  /** Calls `drained` once what was in the pipes at the exit is read, unless they end before: see drain.ts. */
  drain(drained: () => void): void
  /** Reads what is in the pipes now, and closes them: no process may write to them any more. Idempotent. */
  finishPipes(): void
  /** Closes our ends of the pipes. */
  closePipes(): void
  /** Gives the memory back, once those who still read it are done. */
  discard(): void
}

/**
 * Most bytes that two pipes add to a starter's lag at the exit, when all that they hold is read: an unprivileged user
 * may enlarge each to 1 MiB (pipe(7)).
 */
const PENDING_BYTES = 2 * 1024 * 1024
/** Into smaller blocks the bytes are copied: a read of so few bytes costs more than the copy. */
const LEAST_DIRECT_BYTES = 64 * 1024

/** @param closed called once every pipe has reached its end; `life.closed` is set then */
export function createOutput(
  life: Life,
  budget: Budget,
  settings: OutputSettings,
  closed: () => void,
): Output {
  /** Pipes that only root can make so large do not outgrow it: a starter that lags by more gets a gap. */
  const mostReserveBytes = settings.ringBytes + 3 * settings.fullMark + PENDING_BYTES
  /** What lags, and as much again that may be on its way when the stream is cut. */
  const reserveBytes = () => {
    const { place } = hold
    if (place === null) return 0
    // Its memory is at most twice its bytes, unless they are many small segments.
    const most = Math.min(log.costFrom(place) + 2 * settings.fullMark, mostReserveBytes)
    return Math.min(log.costFrom(Math.max(0, place - settings.fullMark)), most)
  }
  const log = createOutputLog(settings.ringBytes, 0, reserveBytes, settings.pool)
  const readers = new Set<LogReader>()
  const pipes: PipeReader[] = []
  /** Our ends of pipes that are not read yet. */
  const unread = new Map<StreamName, number>()
  let openPipes = 0
  let discarded = false
  let isFinishing = false
  /** Let go once told: the output of an ended command outlives the rest of it. */
  let tellClosed: (() => void) | null = closed

  const hold = createHold({
    lagFrom: log.lagFrom,
    fullMark: settings.fullMark,
    graceMs: settings.reattachGraceMs,
    pause: () => {
      for (const pipe of pipes) pipe.pause()
    },
    resume: () => {
      for (const pipe of pipes) pipe.resume()
    },
  })

  const member: BudgetMember = {
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
  budget.add(member)

  const wake = () => {
    for (const reader of readers) reader.wake()
  }

  const entered = () => {
    budget.enforce(member)
    hold.check()
    wake()
  }

  const pipeEnded = () => {
    openPipes -= 1
    if (openPipes > 0) return
    pipes.length = 0
    life.closed = true
    tellClosed?.()
    tellClosed = null
    wake()
  }

  const readsDirectly = settings.pool.blockBytes >= LEAST_DIRECT_BYTES

  const read = () => {
    for (const [stream, ourEnd] of unread) {
      const { buffer, data, end } = createIntake(log, stream, readsDirectly, entered)
      const ended = () => {
        end()
        pipeEnded()
      }
      pipes.push(readPipe(ourEnd, { buffer, data, end: ended }))
    }
    unread.clear()
  }

  const closePipes = () => {
    read()
    for (const pipe of pipes) pipe.destroy()
    if (openPipes === 0) life.closed = true
  }

  const giveBack = () => {
    if (!discarded || readers.size > 0) return
    hold.release()
    budget.remove(member)
  }

  return {
    log,
    hold,
    get isRead() {
      return readers.size > 0 || hold.place !== null
    },
    open(stream) {
      const { ourEnd, childEnd } = outputPipe()
      openPipes += 1
      unread.set(stream, ourEnd)
      return childEnd
    },
    read,
    wake,
    attach(options, cut) {
      const place = () => reader.cursor
      const reader = createReader(log, life, options, settings.pool, {
        advanced: hold.check,
        finished: () => hold.done(place),
        cut: () => {
          if (hold.cut(place)) cut()
        },
        closed: () => {
          readers.delete(reader)
          giveBack()
        },
      })
      readers.add(reader)
      if (options.hold) hold.take(place)
      return reader
    },
    drain: drained => drain({ pipes, isOver: () => life.end !== null || life.closed, drained }),
    finishPipes() {
      if (isFinishing || life.closed) return
      isFinishing = true
      void readPending(pipes).then(closePipes)
    },
    closePipes,
    discard() {
      for (const pipe of pipes) pipe.destroy()
      discarded = true
      giveBack()
    },
  }
}
