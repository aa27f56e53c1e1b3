/** Joins the frames of several connections into one stream: each frame, and each byte of output, once. */

import { GuestdError, isErrorCode } from '../errors.ts'
import type { EndFrame, ErrorFrame, Frame } from '../protocol/frames.ts'

export interface FrameResumer {
  /** Where the next connection begins, in bytes of the command's output. */
  readonly cursor: number
  /** The `end` frame was delivered. */
  readonly ended: boolean
  /**
   * Returns the part of the frame that was not delivered before, or null if there is none.
   *
   * @throws GuestdError `internal` if bytes are missing without a `gap` frame; the error of an `error` frame
   */
  accept(frame: Frame): Frame | null
  /** Call this when another connection continues the stream. It repeats the `start` frame. */
  reconnected(): void
}

/** @param from the cursor at which the first connection begins */
export function createFrameResumer(from: number): FrameResumer {
  let cursor = from
  let lostBytes = 0
  let isResumed = false
  const delivered = { start: false, exit: false, end: false }

  const once = <F extends Frame>(kind: keyof typeof delivered, frame: F): F | null => {
    if (delivered[kind]) return null
    delivered[kind] = true
    return frame
  }

  /** Moves the cursor and returns how many bytes from `begin` on were delivered before. */
  const advance = (begin: number, end: number): number => {
    if (begin > cursor) {
      throw new GuestdError('internal', `bytes ${cursor} to ${begin} are missing from the stream`)
    }
    const repeated = cursor - begin
    cursor = end
    return repeated
  }

  /** guestd counts the gaps of one connection only. */
  const withAllGaps = (frame: EndFrame): EndFrame =>
    isResumed ? { ...frame, truncated: lostBytes } : frame

  const accept = (frame: Frame): Frame | null => {
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
        throw toGuestdError(frame)
      case 'gap': {
        if (frame.to <= cursor) return null
        const repeated = advance(frame.from, frame.to)
        lostBytes += frame.to - frame.from - repeated
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
      return delivered.end
    },
    accept,
    reconnected: () => {
      isResumed = true
    },
  }
}

/** An error code of a later guestd becomes `internal`; the text keeps its name. */
function toGuestdError({ code, message }: ErrorFrame): GuestdError {
  if (isErrorCode(code)) return new GuestdError(code, message)
  return new GuestdError('internal', `${message} (${code})`)
}
