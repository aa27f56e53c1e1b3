/** A folder for one test, short enough for the paths of Unix sockets, and gone after it. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export function makeScratch(t: { teardown(fn: () => void): void }): string {
  const path = mkdtempSync(join(tmpdir(), 'guestd-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}
