/** The open file of the journal: lines are appended whole or not at all, and all of it can be replaced. */
import { closeSync, ftruncateSync, writeSync } from 'node:fs'
import { GuestdError } from '../errors.ts'
import { replaceFile } from './journal-file.ts'
import { encodeLine, type Line, MAX_LINE_BYTES } from './journal-lines.ts'

export interface JournalAppender {
  /** Lines in the file. */
  readonly lines: number
  /** False before the first `replace`, and once a failed line could not be cut off again. */
  readonly isOpen: boolean
  /**
   * @throws GuestdError `invalid_request` where the line is too long
   * @throws Error where it cannot be written: the file has none of it, or is closed
   */
  append(line: Line): void
  /** Replaces the file by these lines. @throws Error where that fails: the file stays as it was */
  replace(lines: readonly Line[]): void
  close(): void
}

export function createAppender(path: string): JournalAppender {
  let fd = -1
  let bytes = 0
  let lines = 0

  const close = () => {
    if (fd >= 0) closeSync(fd)
    fd = -1
  }

  /** The next line must not follow the beginning of a failed one. */
  const cutBack = () => {
    try {
      ftruncateSync(fd, bytes)
    } catch {
      close()
    }
  }

  return {
    get lines() {
      return lines
    },
    get isOpen() {
      return fd >= 0
    },
    append(line) {
      const text = encodeLine(line)
      const length = Buffer.byteLength(text)
      if (length > MAX_LINE_BYTES) {
        const detail = `the record of the command has ${length} bytes, and may have ${MAX_LINE_BYTES}`
        throw new GuestdError('invalid_request', detail)
      }
      if (fd < 0) throw new Error('the journal is not open')
      try {
        if (writeSync(fd, text) < length) throw new Error('the journal has no space')
      } catch (error) {
        cutBack()
        throw error
      }
      bytes += length
      lines += 1
    },
    replace(kept) {
      const written = replaceFile(path, encoded(kept))
      close()
      fd = written.fd
      bytes = written.bytes
      lines = kept.length
    },
    close,
  }
}

function* encoded(lines: readonly Line[]): Iterable<string> {
  for (const line of lines) yield encodeLine(line)
}
