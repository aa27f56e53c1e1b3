/** A file of `runDir` that counts in this boot of the machine alone: another guestd may find that of an earlier one. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What is kept may be secret, such as an environment. */
const MODE = 0o600

export interface BootFile<T> {
  /** What was written in this boot; `null`: nothing, or nothing that can be read. */
  read(): T | null
  /** All of it or nothing. @throws where it cannot be written */
  write(content: T): void
}

export function bootFile<T>(runDir: string, name: string, bootId: string): BootFile<T> {
  const path = join(runDir, name)
  return {
    read() {
      try {
        const kept = JSON.parse(readFileSync(path, 'utf8'))
        return kept.bootId === bootId ? (kept.content ?? null) : null
      } catch {
        return null
      }
    },
    write(content) {
      writeFileSync(`${path}.next`, JSON.stringify({ bootId, content }), { mode: MODE })
      renameSync(`${path}.next`, path)
    },
  }
}
