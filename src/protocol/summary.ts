/** The `application/json` form of a run: one object, sent when the command has ended. */

import { isUtf8 } from 'node:buffer'
import { GuestdError, isErrorCode } from '../errors.ts'
import type { EndFrame, ExitFrame, Frame } from './frames.ts'
import { jsonText } from './json-text.ts'
import { endFields, exitFields } from './schemas/frame-schema.ts'
import { type CommandSummary, SUMMARY_STREAM_BYTES } from './schemas.ts'
import { createTailBuffer, type TailBuffer } from './tail-buffer.ts'
import { leadingContinuationBytes } from './utf8.ts'

export interface Summary {
  /** Adds a frame. Copies its output, and keeps the last bytes of each stream, up to the limit. */
  add(frame: Frame): void
  /**
   * The object. The fields of `exit` and `end` are null before those frames are added.
   *
   * @throws GuestdError with the code of an `error` frame; `internal` if no `start` frame was added
   */
  finish(): CommandSummary
  /**
   * The JSON of `finish`, in pieces that are made one by one, because escaped output can take six times its memory. Call
   * it last: it gives the output away.
   *
   * @throws GuestdError as `finish` does, before the first piece
   */
  encode(): Iterator<Uint8Array>
}

/**
 * Output of a terminal counts as `stdout`.
 *
 * @param limitBytes bytes kept of each stream; default 1 MiB
 * @param mayHold called before both streams together hold a number of bytes; if it returns false, less is kept
 */
export function createSummary(
  limitBytes = SUMMARY_STREAM_BYTES,
  mayHold: (bytes: number) => boolean = () => true,
): Summary {
  const held = { stdout: 0, stderr: 0 }
  const tailOf = (stream: 'stdout' | 'stderr') =>
    createTailBuffer(limitBytes, bytes => {
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
    if (id === null) throw new GuestdError('internal', 'the frames have no start frame')
    return { id, ...factsOf(exitFields, exit), ...factsOf(endFields, end), cursor }
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

/** The fields of a frame; null for each of them if there is none. */
function factsOf<Name extends string, Facts extends Readonly<Record<Name, unknown>>>(
  fields: Readonly<Record<Name, unknown>>,
  frame: Facts | null,
): { [name in Name]: Facts[name] | null } {
  const names = Object.keys(fields) as Name[]
  const entries = names.map(name => [name, frame === null ? null : frame[name]])
  return Object.fromEntries(entries)
}

/** The JSON of the facts, then a member for each stream. */
function* pieces(facts: object, stdout: TailBuffer, stderr: TailBuffer): Iterator<Uint8Array> {
  yield Buffer.from(JSON.stringify(facts).slice(0, -1))
  yield* textPieces(stdout, 'stdout')
  yield* textPieces(stderr, 'stderr')
  yield Buffer.from('}')
}

/** A multiple of three: only the last piece of a base64 text can end with padding. */
const PIECE_BYTES = 48 * 1024

function* textPieces(tail: TailBuffer, name: 'stdout' | 'stderr'): Iterable<Uint8Array> {
  const { bytes, isText, cutBytes } = readable(tail.take(), tail.droppedBytes)
  yield Buffer.from(isText ? `,"${name}":"` : `,"${name}Base64":"`)
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    const piece = bytes.subarray(at, at + PIECE_BYTES)
    if (isText) yield* jsonText('', piece, '')
    else yield Buffer.from(piece.toString('base64'), 'latin1')
  }
  yield Buffer.from(`","${name}Cut":${cutBytes}`)
}

/** One member for the output, and one for the number of bytes that are left out. */
function asText<T extends string, B extends string, C extends string>(
  tail: TailBuffer,
  [textName, base64Name, cutName]: readonly [T, B, C],
): { readonly [name in T | B]?: string } & { readonly [name in C]: number } {
  const { bytes, isText, cutBytes } = readable(tail.bytes(), tail.droppedBytes)
  const text: { [key in T | B]?: string } = {}
  if (isText) text[textName] = bytes.toString('utf8')
  else text[base64Name] = bytes.toString('base64')
  const cut = { [cutName]: cutBytes } as { [name in C]: number }
  return { ...text, ...cut }
}

/** Text if the bytes are UTF-8, without the rest of a character whose first bytes were dropped. */
function readable(bytes: Buffer, droppedBytes: number) {
  const lead = droppedBytes > 0 ? leadingContinuationBytes(bytes) : 0
  const text = bytes.subarray(lead)
  return isUtf8(text)
    ? { bytes: text, isText: true, cutBytes: droppedBytes + lead }
    : { bytes, isText: false, cutBytes: droppedBytes }
}
