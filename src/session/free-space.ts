/** Whether the file systems beside the workspace can still be written to. */
import { accessSync, constants, statfsSync, statSync } from 'node:fs'
import { errorCode } from '../util/error-code.ts'

/** Less than this much is full, in bytes: a journal, a log or a lock file would soon fail. */
const LEAST_FREE_BYTES = 1024 * 1024

export interface Place {
  /** What it is, for people. */
  readonly name: string
  readonly path: string
}

/** A sentence for each place that is full; of two places on one file system the first is told. */
export function fullPlaces(places: readonly Place[]): string[] {
  const seen = new Set<number>()
  return places.flatMap(({ name, path }) => {
    try {
      const { dev } = statSync(path)
      if (seen.has(dev) || isReadOnly(path)) return []
      seen.add(dev)
      const missing = missingAt(path)
      return missing === null ? [] : [`${name}: ${path} is full, ${missing} left`]
    } catch {
      // What is not there fails elsewhere, with a reason of its own.
      return []
    }
  })
}

/** File systems that make inodes as they need them have 0 of them in all. */
function missingAt(path: string): string | null {
  const { bavail, bsize, files, ffree } = statfsSync(path)
  const free = bavail * bsize
  if (free < LEAST_FREE_BYTES) return `${free} bytes are`
  return files > 0 && ffree === 0 ? 'no inodes are' : null
}

/** access(2): a mount that cannot be written has no free blocks, and is not full. */
function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return false
  } catch (error) {
    return errorCode(error) === 'EROFS'
  }
}
