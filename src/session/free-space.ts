/** Whether the file systems other than the workspace have space left. */
import { accessSync, constants, statfsSync, statSync } from 'node:fs'
import { errorCode } from '../util/error-code.ts'

/** A file system with less free space counts as full, in bytes: writes of journal, log and locks would soon fail. */
const LEAST_FREE_BYTES = 1024 * 1024

export interface Place {
  /** Shown in the reason. */
  readonly name: string
  readonly path: string
}

/** One reason for each full file system, named after its first place in the list. */
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
      // A missing folder has a reason of its own.
      return []
    }
  })
}

/** On file systems that allocate inodes dynamically `files` is 0. */
function missingAt(path: string): string | null {
  const { bavail, bsize, files, ffree } = statfsSync(path)
  const free = bavail * bsize
  if (free < LEAST_FREE_BYTES) return `${free} bytes are`
  return files > 0 && ffree === 0 ? 'no inodes are' : null
}

/** A read-only mount has no free blocks, but it is not full: access(2) distinguishes the two. */
function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return false
  } catch (error) {
    return errorCode(error) === 'EROFS'
  }
}
