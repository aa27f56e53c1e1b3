/** The `application/json` form of a run: one object, when it is over. */

import { isUtf8 } from 'node:buffer'
import { GuestdError, isErrorCode } from '../errors.ts'
import type { EndFrame, ExitFrame, Frame } from './frames.ts'
import { type CommandSummary, SUMMARY_STREAM_BYTES } from './schemas.ts'
import { createTail, type Tail } from './tail.ts'
import { leadingContinuationBytes } from './utf8.ts'

export interface Summary {
  /** Takes in a frame. Bytes of output are copied, the last 1 MiB of each stream. */
  add(frame: Frame): void
  /**
   * What the frames came to. Without an `exit` and `end` (the command still runs) their fields
   * are null.
   *
   * @throws GuestdError when an `error` frame came, with its code, or none that gives an id
   */
  finish(): CommandSummary
}

/** What a terminal said is told as `stdout`. */
export function createSummary(): Summary {
  const stdout = createTail(SUMMARY_STREAM_BYTES)
  const stderr = createTail(SUMMARY_STREAM_BYTES)
  let id: string | null = null
  let exit: ExitFrame | null = null
  let end: EndFrame | null = null
  let cursor = 0
  let failure: GuestdError | null = null

  function add(frame: Frame): void {
    if (frame.type === 'error') {
      const code = isErrorCode(frame.code) ? frame.code : 'internal'
      failure ??= new GuestdError(code, frame.message)
      return
    }
    cursor = frame.cursor
    if (frame.type === 'start') id = frame.id
    if (frame.type === 'exit') exit = frame
    if (frame.type === 'end') end = frame
    if (frame.type === 'output') (frame.stream === 'stderr' ? stderr : stdout).push(frame.bytes)
  }

  function finish(): CommandSummary {
    if (failure !== null) throw failure
    if (id === null) throw new GuestdError('internal', 'the stream of frames has no beginning')
    return {
      id,
      ...exitFacts(exit),
      ...endFacts(end),
      cursor,
      ...asText(stdout, 'stdout', 'stdoutBase64'),
      ...asText(stderr, 'stderr', 'stderrBase64'),
    }
  }

  return { add, finish }
}

function exitFacts(exit: ExitFrame | null) {
  return {
    exitCode: exit?.exitCode ?? null,
    signal: exit?.signal ?? null,
    cause: exit?.cause ?? null,
    stage: exit?.stage ?? null,
    errno: exit?.errno ?? null,
    workspaceFull: exit?.workspaceFull ?? null,
    durationMs: exit?.durationMs ?? null,
    cpuMs: exit?.cpuMs ?? null,
    maxRssBytes: exit?.maxRssBytes ?? null,
  }
}

function endFacts(end: EndFrame | null) {
  return {
    stdoutBytes: end?.stdoutBytes ?? null,
    stderrBytes: end?.stderrBytes ?? null,
    truncated: end?.truncated ?? null,
    descendants: end?.descendants ?? null,
  }
}

/** Text where it is UTF-8, apart from a character that lost its beginning; else all in base64. */
function asText<T extends string, B extends string>(
  tail: Tail,
  textName: T,
  base64Name: B,
): { readonly [name in T | B]?: string } {
  const bytes = tail.bytes()
  const whole = tail.dropped ? bytes.subarray(leadingContinuationBytes(bytes)) : bytes
  const name = isUtf8(whole) ? textName : base64Name
  const value = isUtf8(whole) ? whole.toString('utf8') : bytes.toString('base64')
  const named: { [key in T | B]?: string } = {}
  named[name] = value
  return named
}
