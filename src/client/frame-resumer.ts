/** What of a command's frames was delivered already: decides what a resumed stream adds to it. */

import { GuestdError, isErrorCode } from '../errors.ts'
import type { EndFrame, ErrorFrame, Frame } from '../protocol/frames.ts'

export interface Place {
  /** The cursor to ask the rest with. */
  readonly cursor: number
  /** `end` was delivered. */
  readonly ended: boolean
  /**
   * The part of the frame that is new, or null.
   *
   * @throws GuestdError `internal` where bytes are missing without a gap; the code of an `error` frame
   */
  take(frame: Frame): Frame | null
  /** Another connection carries on: it begins with a `start` of its own. */
  resume(): void
}

/** @param from the cursor that the first connection begins at */
export function createPlace(from: number): Place {
  let cursor = from
  let lost = 0
  let resumed = false
  const seen = { start: false, exit: false, end: false }

  const once = <F extends Frame>(kind: keyof typeof seen, frame: F): F | null => {
    if (seen[kind]) return null
    seen[kind] = true
    return frame
  }

  const advance = (begin: number, end: number): number => {
    if (begin > cursor) {
      throw new GuestdError('internal', `bytes ${cursor} to ${begin} are missing from the stream`)
    }
    const repeated = cursor - begin
    cursor = end
    return repeated
  }

  /** guestd counts the gaps of each connection alone. */
  const withAllGaps = (frame: EndFrame): EndFrame =>
    resumed ? { ...frame, truncated: lost } : frame

  const take = (frame: Frame): Frame | null => {
    switch (frame.type) {
      case 'start':
        return once('start', frame)
      case 'exit':
        return once('exit', frame)
      case 'end':
        return once('end', withAllGaps(frame))
      case 'keepalive':
        return frame
      case 'error':
        throw fromErrorFrame(frame)
      case 'gap': {
        if (frame.to <= cursor) return null
        const repeated = advance(frame.from, frame.to)
        lost += frame.to - frame.from - repeated
        return repeated === 0 ? frame : { ...frame, from: frame.from + repeated }
      }
      case 'output': {
        if (frame.cursor <= cursor) return null
        const repeated = advance(frame.cursor - frame.bytes.length, frame.cursor)
        return repeated === 0 ? frame : { ...frame, bytes: frame.bytes.subarray(repeated) }
      }
    }
  }

  return {
    get cursor() {
      return cursor
    },
    get ended() {
      return seen.end
    },
    take,
    resume: () => {
      resumed = true
    },
  }
}

/** guestd's own failure ends the stream as a refusal does. */
function fromErrorFrame({ code, message }: ErrorFrame): GuestdError {
  if (isErrorCode(code)) return new GuestdError(code, message)
  return new GuestdError('internal', `${message} (${code})`)
}
