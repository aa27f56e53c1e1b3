/** An exclusive lock on a file, gone with its holder: flock(2). */
import { closeSync, openSync } from 'node:fs'
import { native } from './native.ts'

/** @throws Error when another process holds it */
export function lockFile(path: string): { release(): void } {
  const fd = openSync(path, 'a', 0o600)
  if (native.lockFile(fd)) return { release: () => closeSync(fd) }
  closeSync(fd)
  throw new Error(`${path} is locked: another guestd is running there`)
}
