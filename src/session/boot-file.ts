/** A file of `runDir` that counts in this boot of the machine alone: another guestd may find that of an earlier one. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TSchema } from 'typebox'
import { matchesSchema } from '../util/matches-schema.ts'

/** What is stored may be secret, such as an environment. */
const MODE = 0o600

export interface BootFile<T> {
  /** What was written in this boot; `null`: nothing, or nothing that can be read. */
  read(): T | null
  /** All of it or nothing. @throws where it cannot be written */
  write(content: T): void
  /** Writes what was read or written last once more, as after the folder was lost. @throws as `write` */
  save(): void
  /** It is of another session: nothing of it counts. */
  forget(): void
}

/** @param schema of the content; a file with other content counts as missing */
export function bootFile<T>(
  runDir: string,
  name: string,
  bootId: string,
  schema: TSchema,
): BootFile<T> {
  const path = join(runDir, name)
  let known: T | null = null

  const write = (content: T) => {
    const next = `${path}.next`
    try {
      writeFileSync(next, JSON.stringify({ bootId, content }), { mode: MODE })
      renameSync(next, path)
    } catch (error) {
      // What is half written takes space that others need.
      rmSync(next, { force: true })
      throw error
    }
    known = content
  }

  return {
    read() {
      try {
        const stored = JSON.parse(readFileSync(path, 'utf8'))
        known =
          stored.bootId === bootId && matchesSchema(schema, stored.content) ? stored.content : null
      } catch {
        known = null
      }
      return known
    },
    write,
    save() {
      if (known !== null) write(known)
    },
    forget() {
      known = null
      rmSync(path, { force: true, recursive: true })
    },
  }
}
