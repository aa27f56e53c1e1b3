/** A file of `runDir` that is valid in this boot of the machine only: a file of an earlier boot counts as missing. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TSchema } from 'typebox'
import { matchesSchema } from '../util/matches-schema.ts'

/** What is stored may be secret, such as an environment. */
const MODE = 0o600

export interface BootFile<T> {
  /** The content of this boot; `null`: none, or none that can be read. */
  read(): T | null
  /** Writes all of it or nothing. @throws if it cannot be written */
  write(content: T): void
  /** Writes the last known content again, after the folder was lost. @throws if it cannot be written */
  save(): void
  /** Deletes it: it belongs to another session. */
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
      // A partial file takes space that other files need.
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
