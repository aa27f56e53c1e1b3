/** The frames of a command's log in order, from a cursor to the command's end: which one comes next. Pure. */
import type { Frame } from '../protocol/frames.ts'
import { completePrefixLength } from '../protocol/utf8.ts'
import type { Block } from './blocks.ts'
import type { Life } from './life.ts'
import type { OutputLog } from './output-log.ts'
import type { AttachOptions } from './types.ts'

export interface FrameSource {
  /** The next frame; `null` where there is none at present, or none at all once `done` is true. */
  next(maxBytes: number): Frame | null
  /** The cursor of the last frame. */
  readonly cursor: number
  /** No frame follows. */
  readonly done: boolean
}

interface SourceState {
  readonly log: OutputLog
  readonly life: Life
  readonly follow: boolean
  /** Whether it goes on after `end`, with the output of descendants. */
  readonly followsLateOutput: boolean
  /** The end of the log when the reader was attached. */
  readonly presentEnd: number
  /** Called with the memory of each output frame. */
  readonly lend: (block: Block) => void
  cursor: number
  /** Bytes lost to gaps. */
  truncated: number
  isStarted: boolean
  isExitSent: boolean
  isDone: boolean
}

export function createFrameSource(
  log: OutputLog,
  life: Life,
  options: AttachOptions,
  lend: (block: Block) => void,
): FrameSource {
  const source: SourceState = {
    log,
    life,
    follow: options.follow,
    // The starter's role ends at `end`, also for a reader that took it over late: only others follow descendants.
    followsLateOutput: life.end !== null && !options.hold,
    presentEnd: log.end,
    lend,
    cursor: options.cursor,
    truncated: 0,
    isStarted: false,
    isExitSent: hasExit(options, life),
    isDone: false,
  }
  return {
    next: maxBytes => next(source, maxBytes),
    get cursor() {
      return source.cursor
    },
    get done() {
      return source.isDone
    },
  }
}

/** Whether the client had `exit` in an earlier stream. In every stream, output past its place in the log follows it. */
function hasExit({ seen, cursor }: AttachOptions, { exit }: Life): boolean {
  if (exit === null || seen === undefined) return false
  return seen !== 'output' || cursor > exit.cursor
}

function next(source: SourceState, maxBytes: number): Frame | null {
  const { log, life, cursor } = source
  if (source.isDone) return null
  if (!source.isStarted) return start(source)
  if (cursor < log.begin && cursor < lastCursor(source)) return gap(source)
  // `exit` has its place in the log: output that entered before it comes before it.
  if (!source.isExitSent && life.exit !== null && cursor >= life.exit.cursor) {
    source.isExitSent = true
    return { type: 'exit', ...life.exit.facts, cursor }
  }
  return output(source, maxBytes) ?? end(source)
}

/** Where the output of this reader ends: Infinity while that is not known. */
function lastCursor({ log, life, follow, followsLateOutput, presentEnd }: SourceState): number {
  if (!follow) return presentEnd
  if (!followsLateOutput) return life.end?.cursor ?? Number.POSITIVE_INFINITY
  return life.closed ? log.end : Number.POSITIVE_INFINITY
}

function start(source: SourceState): Frame {
  source.isStarted = true
  const { id, pid, startedAt, cwd, user } = source.life
  return { type: 'start', id, pid, startedAt, cwd, user, cursor: source.cursor }
}

function gap(source: SourceState): Frame {
  const from = source.cursor
  const to = Math.min(source.log.begin, lastCursor(source))
  source.cursor = to
  source.truncated += to - from
  return { type: 'gap', from, to, cursor: to }
}

function output(source: SourceState, maxBytes: number): Frame | null {
  const { log, life, cursor } = source
  const exitCursor = source.isExitSent ? undefined : life.exit?.cursor
  const limit = Math.min(log.end, lastCursor(source), exitCursor ?? Number.POSITIVE_INFINITY)
  const wanted = Math.min(maxBytes, limit - cursor)
  const slice = wanted > 0 ? log.slice(cursor, wanted) : null
  if (slice === null) return null
  // A full slice may end inside a character: the rest of it goes with the next one.
  const whole = slice.bytes.length === maxBytes ? completePrefixLength(slice.bytes) : 0
  const bytes = whole > 0 ? slice.bytes.subarray(0, whole) : slice.bytes
  source.lend(slice.block)
  source.cursor += bytes.length
  return { type: 'output', stream: slice.stream, cursor: source.cursor, bytes }
}

function end(source: SourceState): Frame | null {
  const { life, cursor, truncated } = source
  if (cursor < lastCursor(source)) return null
  source.isDone = true
  if (life.end === null || !source.isExitSent) return null
  return { type: 'end', ...life.end.facts, truncated, cursor }
}
