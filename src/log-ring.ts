/**
 * The last lines of guestd's own log, in a file of `runDir` that no command but root's can read or write. The journal
 * of a machine is shared: a flood of other lines pushes guestd's out of it.
 */
import { closeSync, constants, fstatSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { lastOf } from './util/cut-text.ts'

export interface LogRing {
  /**
   * Takes a line, with its newline. Never throws: a line that cannot be written is lost here, and is in the log
   * itself all the same. While the folder is not there, at most 64 KiB wait.
   */
  write(line: string): void
}

/** Of two files, the older one of which goes when the newer one is full: the last 512 KiB at least. */
const MAX_FILE_BYTES = 512 * 1024
const MAX_WAITING_CHARACTERS = 64 * 1024
/** How often is looked whether the file was deleted, in milliseconds. */
const LOOK_MS = 2_000
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants
/** O_NONBLOCK: a FIFO in its place would wait for a reader. */
const FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK
const MODE = 0o600

/** @param folder may be made later @param now in milliseconds, monotonic */
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
        // It is tried again with the next line.
      }
    },
  }
}
