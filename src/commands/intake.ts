/**
 * Puts the bytes of one pipe into the log, whole characters at a time. The bytes of a quiet pipe are copied; a busy
 * pipe is read into the log's own memory.
 */
import type { StreamName } from '../protocol/frames.ts'
import { completePrefixLength } from '../protocol/utf8.ts'
import type { OutputLog } from './output-log.ts'

/** How long an incomplete character waits for the rest of it. Then its bytes enter as they are. */
const INCOMPLETE_WAIT_MS = 100
/** Size of the read buffer that all quiet pipes share: a read and the copy of its bytes happen in one turn. */
const SCRATCH_BYTES = 64 * 1024
const NO_BYTES = new Uint8Array(0)

const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

export interface Intake {
  /** The buffer for the next read. */
  buffer(): Uint8Array
  /** `length` bytes were read into that buffer. */
  data(length: number): void
  /** The pipe has ended: the bytes of an incomplete character enter as they are. */
  end(): void
}

/**
 * @param readsDirectly whether the blocks of the log are large enough to be read into
 * @param entered called after bytes have entered the log
 */
export function createIntake(
  log: OutputLog,
  stream: StreamName,
  readsDirectly: boolean,
  entered: () => void,
): Intake {
  let isBusy = false
  /** Where the next read goes; `held` is copied to its beginning first. */
  let room: Uint8Array = scratch
  /** The first bytes of an incomplete character. */
  let held: Uint8Array = NO_BYTES
  let timer: NodeJS.Timeout | undefined

  const release = () => {
    clearTimeout(timer)
    timer = undefined
    log.append(stream, held)
    held = NO_BYTES
  }

  const hold = (bytes: Uint8Array) => {
    clearTimeout(timer)
    timer = undefined
    held = bytes.length === 0 ? NO_BYTES : Uint8Array.from(bytes)
    if (bytes.length === 0) return
    timer = setTimeout(() => {
      release()
      entered()
    }, INCOMPLETE_WAIT_MS)
  }

  return {
    buffer() {
      room = isBusy ? log.room() : scratch
      if (held.length === 0) return room
      room.set(held)
      return room.subarray(held.length)
    },
    data(length) {
      const bytes = room.subarray(0, held.length + length)
      const whole = completePrefixLength(bytes)
      const rest = bytes.subarray(whole)
      if (rest.length > 0 || held.length > 0) hold(rest)
      if (room === scratch) log.append(stream, bytes.subarray(0, whole))
      else log.commit(stream, whole)
      isBusy = readsDirectly && length >= (isBusy ? SCRATCH_BYTES / 4 : SCRATCH_BYTES / 2)
      entered()
    },
    end() {
      release()
      entered()
    },
  }
}
