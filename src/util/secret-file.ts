/** Reads a secret from a file. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/** Longest file, in bytes: longer than any token with its line break. */
const MAX_SECRET_BYTES = 4_096

/** Permission bits of users that are neither the owner nor in the group (inode(7)). */
const OTHERS = 0o006

/** @throws Error if it cannot be read, is too long, or if others may read or write it */
export function readSecretFile(path: string): string {
  const fd = openSync(path, 'r')
  try {
    const mode = fstatSync(fd).mode & 0o777
    if ((mode & OTHERS) !== 0) {
      throw new Error(`others may read or write it: its mode is ${mode.toString(8)}; chmod o= it`)
    }
    const bytes = Buffer.alloc(MAX_SECRET_BYTES + 1)
    let length = 0
    for (let got = -1; got !== 0 && length < bytes.length; length += got) {
      got = readSync(fd, bytes, length, bytes.length - length, null)
    }
    if (length > MAX_SECRET_BYTES) throw new Error(`it has more than ${MAX_SECRET_BYTES} bytes`)
    return bytes.toString('utf8', 0, length)
  } finally {
    closeSync(fd)
  }
}
