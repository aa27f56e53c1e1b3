/** Space reserved for the journal: freed when the file system is full, so that ends can still be written. */
import { closeSync, openSync, rmSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { writeAll } from './journal-file.ts'

/** More than a journal of 1,000 ended commands takes. */
const SPARE_BYTES = 512 * 1024
/** On a smaller file system no space is reserved. */
const LEAST_BYTES = 4 * 1024 * 1024
/** A file system with less free space counts as full, as it does for the readiness. */
const LEAST_FREE_BYTES = 1024 * 1024

export interface Spare {
  /** The space is reserved, or the file system is too small for that. */
  readonly isWhole: boolean
  /** Reserves the space where that is not done and there is room. */
  make(): void
  /** Frees the space. False where none is reserved. */
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
