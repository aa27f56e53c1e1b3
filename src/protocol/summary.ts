/** The `application/json` form of a run: one object, when it is over. */

import { isUtf8 } from 'node:buffer'
import { GuestdError, isErrorCode } from '../errors.ts'
import type { EndFrame, ExitFrame, Frame } from './frames.ts'
import { jsonText } from './json-text.ts'
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
  /**
   * The same as the JSON of `finish`, in pieces that are made one by one: escaped, output takes six times its memory.
   * The output is given away, so this is the last call.
   *
   * @throws GuestdError as `finish`, before the first piece
   */
  encode(): Iterator<Uint8Array>
}

/**
 * Output of a terminal counts as `stdout`.
 *
 * @param limitBytes bytes kept of each stream; default 1 MiB
 * @param mayHold asked before both streams together take so many bytes; where it refuses, less is kept
 */
export function createSummary(
  limitBytes = SUMMARY_STREAM_BYTES,
  mayHold: (bytes: number) => boolean = () => true,
): Summary {
  const held = { stdout: 0, stderr: 0 }
  const tailOf = (stream: 'stdout' | 'stderr') =>
    createTail(limitBytes, bytes => {
      if (!mayHold(held.stdout + held.stderr - held[stream] + bytes)) return false
      held[stream] = bytes
      return true
    })
  const stdout = tailOf('stdout')
  const stderr = tailOf('stderr')
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

  function facts() {
    if (failure !== null) throw failure
    if (id === null) throw new GuestdError('internal', 'the stream of frames has no beginning')
    return { id, ...exitFacts(exit), ...endFacts(end), cursor }
  }

  function finish(): CommandSummary {
    return {
      ...facts(),
      ...asText(stdout, ['stdout', 'stdoutBase64', 'stdoutCut']),
      ...asText(stderr, ['stderr', 'stderrBase64', 'stderrCut']),
    }
  }

  return { add, finish, encode: () => pieces(facts(), stdout, stderr) }
}

/** A member of JSON for each stream, after the facts. */
function* pieces(facts: object, stdout: Tail, stderr: Tail): Iterator<Uint8Array> {
  yield Buffer.from(JSON.stringify(facts).slice(0, -1))
  yield* textPieces(stdout, 'stdout')
  yield* textPieces(stderr, 'stderr')
  yield Buffer.from('}')
}

/** A multiple of three: only the last piece of a base64 text may end with padding. */
const PIECE_BYTES = 48 * 1024

function* textPieces(tail: Tail, name: 'stdout' | 'stderr'): Iterable<Uint8Array> {
  const { bytes, isText, cutBytes } = readable(tail.take(), tail.droppedBytes)
  yield Buffer.from(isText ? `,"${name}":"` : `,"${name}Base64":"`)
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    const piece = bytes.subarray(at, at + PIECE_BYTES)
    if (isText) yield* jsonText('', piece, '')
    else yield Buffer.from(piece.toString('base64'), 'latin1')
  }
  yield Buffer.from(`","${name}Cut":${cutBytes}`)
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

/** The last member is the number of bytes that came and are not included. */
function asText<T extends string, B extends string, C extends string>(
  tail: Tail,
  [textName, base64Name, cutName]: readonly [T, B, C],
): { readonly [name in T | B]?: string } & { readonly [name in C]: number } {
  const { bytes, isText, cutBytes } = readable(tail.bytes(), tail.droppedBytes)
  const text: { [key in T | B]?: string } = {}
  if (isText) text[textName] = bytes.toString('utf8')
  else text[base64Name] = bytes.toString('base64')
  const cut = { [cutName]: cutBytes } as { [name in C]: number }
  return { ...text, ...cut }
}

/** Text where it is UTF-8, apart from a character that lost its beginning. */
function readable(bytes: Buffer, droppedBytes: number) {
  const lead = droppedBytes > 0 ? leadingContinuationBytes(bytes) : 0
  const text = bytes.subarray(lead)
  return isUtf8(text)
    ? { bytes: text, isText: true, cutBytes: droppedBytes + lead }
    : { bytes, isText: false, cutBytes: droppedBytes }
}
