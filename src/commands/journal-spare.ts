/** Space that is kept for the journal: given up when the file system is full, so that ends can still be written. */
import { closeSync, openSync, rmSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { writeAll } from './journal-file.ts'

/** A journal of 1,000 ended commands takes less. */
const SPARE_BYTES = 512 * 1024
/** On a smaller file system nothing is kept. */
const LEAST_BYTES = 4 * 1024 * 1024
/** With less left the file system counts as full, as for the readiness. */
const LEAST_FREE_BYTES = 1024 * 1024

export interface Spare {
  /** It is there, or the file system is too small for it. */
  readonly isWhole: boolean
  /** Makes it where it is missing and there is room. */
  make(): void
  /** False when there is none. */
  drop(): boolean
}

/** @param path of its file */
export function createSpare(path: string): Spare {
  let held = false
  let wanted = false

  return {
    get isWhole() {
      return held || !wanted
    },
    make() {
      if (held) return
      try {
        const { bavail, blocks, bsize } = statfsSync(dirname(path))
        wanted = blocks * bsize >= LEAST_BYTES
        if (!wanted || bavail * bsize < LEAST_FREE_BYTES) return
        const fd = openSync(path, 'w', 0o600)
        try {
          writeAll(fd, Buffer.alloc(SPARE_BYTES))
          held = true
        } finally {
          closeSync(fd)
        }
      } catch {
        rmSync(path, { force: true })
      }
    },
    drop() {
      const was = held
      held = false
      rmSync(path, { force: true })
      return was
    },
  }
}
