/** Errors that the kernel has found in an ext4, from /sys/fs/ext4 (Documentation/ABI/testing/sysfs-fs-ext4). */
import { readFileSync } from 'node:fs'
import { firstOf } from '../util/cut-text.ts'

/**
 * The number of errors since the last check of the file system; 0: none, or not known.
 *
 * @param name of the device in sysfs
 */
export function errorsOf(name: string): number {
  return Number(read(name, 'errors_count')) || 0
}

export const FAILED = 'its file system has failed'

/** "its file system has failed: 1 error, the last in ext4_lookup" */
export function errorWords(errors: number, name: string): string {
  const by = firstOf(read(name, 'last_error_func'), MAX_NAME_CHARACTERS)
  const last = by === '' ? '' : `, the last in ${by}`
  return `${FAILED}: ${errors} ${errors === 1 ? 'error' : 'errors'}${last}`
}

const MAX_NAME_CHARACTERS = 64

function read(name: string, file: string): string {
  try {
    return readFileSync(`/sys/fs/ext4/${name}/${file}`, 'utf8').trim()
  } catch {
    return ''
  }
}
