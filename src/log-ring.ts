/**
 * The last lines of the log, in a file of `runDir` that only root's commands can read or write. The journal of the machine
 * is shared, so many lines of others can displace the lines of guestd.
 */
import { closeSync, constants, fstatSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { lastOf } from './util/cut-text.ts'

export interface LogRing {
  /**
   * Takes a line with its newline. Never throws: a line that cannot be written is lost here, and stays in the log. While
   * the folder is missing, at most 64 KiB wait.
   */
  write(line: string): void
}

/** Size of each of two files. When the newer one is full it replaces the older one: 512 KiB at least are kept. */
const MAX_FILE_BYTES = 512 * 1024
const MAX_WAITING_CHARACTERS = 64 * 1024
/** Shortest interval of checks for a deleted file, in milliseconds. */
const LOOK_MS = 2_000
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants
/** O_NONBLOCK: with a FIFO in its place the open would wait for a reader. */
const FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK
const MODE = 0o600

/** @param folder may be created later @param now in milliseconds, monotonic */
export function createLogRing(folder: string, now = () => performance.now()): LogRing {
  const path = join(folder, 'log.ndjson')
  let fd: number | null = null
  let bytes = 0
  let lookedAt = 0
  let waiting = ''

  const close = () => {
    if (fd !== null) closeSync(fd)
    fd = null
  }
  const open = () => {
    fd = openSync(path, FLAGS, MODE)
    bytes = fstatSync(fd).size
    lookedAt = now()
  }
  const look = () => {
    if (fd !== null && now() - lookedAt < LOOK_MS) return
    if (fd !== null && fstatSync(fd).nlink === 0) close()
    if (fd === null) open()
    lookedAt = now()
  }
  const turn = () => {
    renameSync(path, `${path}.old`)
    close()
    open()
  }

  return {
    write(line) {
      waiting += line
      if (waiting.length > MAX_WAITING_CHARACTERS) waiting = lastOf(line, MAX_WAITING_CHARACTERS)
      try {
        look()
        if (bytes > 0 && bytes + Buffer.byteLength(waiting) > MAX_FILE_BYTES) turn()
        if (fd === null) return
        bytes += writeSync(fd, waiting)
        waiting = ''
      } catch {
        // The next line tries again.
      }
    },
  }
}
