/**
 * How the bytes of one pipe enter the log: whole characters at a time, copied when they are few,
 * handed over without a copy when they are many.
 */
import type { Stream } from '../protocol/frames.ts'
import { completePrefixLength } from '../protocol/utf8.ts'
import type { OutputLog } from './output-log.ts'

/** An incomplete character waits this long for its rest, then enters as the bytes that it is. */
const INCOMPLETE_WAIT_MS = 100
/** Read buffer of a quiet pipe, shared by all: a read and the copy of its bytes are one step. */
const SCRATCH_BYTES = 64 * 1024

const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

export interface Intake {
  /** The buffer for the next read. */
  buffer(): Uint8Array
  /** So many bytes were read into that buffer. */
  data(length: number): void
  /** The pipe has ended: an incomplete character is complete as it is. */
  end(): void
}

/**
 * @param busyBytes read buffer of a busy pipe, its own
 * @param entered called after bytes have entered the log
 */
export function createIntake(
  log: OutputLog,
  stream: Stream,
  busyBytes: number,
  entered: () => void,
): Intake {
  let current: Uint8Array = scratch
  let held: Uint8Array = new Uint8Array(0)
  let timer: NodeJS.Timeout | undefined

  const release = () => {
    clearTimeout(timer)
    timer = undefined
    if (held.length === 0) return
    log.append(stream, held)
    held = new Uint8Array(0)
  }

  /** The few first bytes that complete a held character, joined with it. Returns how many. */
  const complete = (bytes: Uint8Array): number => {
    for (let taken = 0; taken <= bytes.length && held.length > 0; taken++) {
      const joined = Buffer.concat([held, bytes.subarray(0, taken)])
      if (taken > 0 && completePrefixLength(joined) === joined.length) {
        held = joined
        release()
        return taken
      }
    }
    return 0
  }

  const enter = (bytes: Uint8Array, owned: boolean) => {
    if (bytes.length === 0) return
    if (owned) log.appendOwned(stream, bytes)
    else log.append(stream, bytes)
  }

  const take = (bytes: Uint8Array, owned: boolean) => {
    let rest = bytes
    if (held.length > 0) {
      const taken = complete(bytes)
      if (held.length > 0) {
        // Still incomplete: at most three bytes in all.
        held = Buffer.concat([held, bytes])
        return
      }
      rest = bytes.subarray(taken)
    }
    const length = completePrefixLength(rest)
    enter(rest.subarray(0, length), owned)
    if (length === rest.length) return
    held = Uint8Array.from(rest.subarray(length))
    timer = setTimeout(() => {
      release()
      entered()
    }, INCOMPLETE_WAIT_MS)
  }

  return {
    buffer: () => current,
    data(length) {
      const bytes = current.subarray(0, length)
      const busy = length * 2 >= current.length
      const owned = busy && current !== scratch
      take(bytes, owned)
      if (owned || (busy && current === scratch)) current = Buffer.allocUnsafeSlow(busyBytes)
      else if (length < SCRATCH_BYTES / 4) current = scratch
      entered()
    },
    end() {
      current = scratch
      release()
      entered()
    },
  }
}
