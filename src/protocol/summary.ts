/** The `application/json` form of a run: one object, when it is over. */

import { isUtf8 } from 'node:buffer'
import { GuestdError, isErrorCode } from '../errors.ts'
import type { EndFrame, ExitFrame, Frame } from './frames.ts'
import { type CommandSummary, SUMMARY_STREAM_BYTES } from './schemas.ts'
import { createTail, type Tail } from './tail.ts'
import { leadingContinuationBytes } from './utf8.ts'

export interface Summary {
  /** Adds a frame. Copies its output; keeps the last bytes of each stream, up to the limit. */
  add(frame: Frame): void
  /**
   * What the frames came to. Without an `exit` and `end` (the command still runs) their fields
   * are null.
   *
   * @throws GuestdError when an `error` frame came, with its code, or none that gives an id
   */
  finish(): CommandSummary
}

/**
 * Output of a terminal counts as `stdout`.
 *
 * @param limitBytes bytes kept of each stream; default 1 MiB
 */
export function createSummary(limitBytes = SUMMARY_STREAM_BYTES): Summary {
  const stdout = createTail(limitBytes)
  const stderr = createTail(limitBytes)
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
      ...asText(stdout, ['stdout', 'stdoutBase64', 'stdoutCut']),
      ...asText(stderr, ['stderr', 'stderrBase64', 'stderrCut']),
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
    interpreter: exit?.interpreter ?? null,
    oomScope: exit?.oomScope ?? null,
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

/**
 * Text where it is UTF-8, apart from a character that lost its beginning; else all in base64. The
 * last member is the number of bytes that came and are not included.
 */
function asText<T extends string, B extends string, C extends string>(
  tail: Tail,
  [textName, base64Name, cutName]: readonly [T, B, C],
): { readonly [name in T | B]?: string } & { readonly [name in C]: number } {
  const bytes = tail.bytes()
  const lead = tail.droppedBytes > 0 ? leadingContinuationBytes(bytes) : 0
  const isText = isUtf8(bytes.subarray(lead))
  const text: { [key in T | B]?: string } = {}
  if (isText) text[textName] = bytes.toString('utf8', lead)
  else text[base64Name] = bytes.toString('base64')
  const cut = { [cutName]: tail.droppedBytes + (isText ? lead : 0) } as { [name in C]: number }
  return { ...text, ...cut }
}
