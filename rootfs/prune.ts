/** Keeps the cache from growing with every change of the code. */

import { readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'

/** How many entries of a kind stay: enough to go back and forth between some branches. */
const KEPT_ENTRIES = 3
/** An entry younger than this may be about to be opened by another run; half-built folders too. */
const MIN_AGE_MS = 30 * 60 * 1000

/**
 * Removes the least recently used entries of a kind beyond `KEPT_ENTRIES`, and leftovers of dead builders. A
 * machine that runs from a removed image keeps it open, so it loses nothing.
 *
 * @param kept the entry that stays whatever its age
 */
export async function prune(folder: string, kind: string, kept: string): Promise<void> {
  const names = (await readdir(folder)).filter(name => name.startsWith(`${kind}-`))
  const entries = await Promise.all(
    names.map(async name => {
      const file = path.join(folder, name)
      const used = await stat(file).catch(() => null)
      return { file, isEntry: !name.includes('.'), usedMs: used?.mtimeMs ?? Date.now() }
    }),
  )
  entries.sort((a, b) => b.usedMs - a.usedMs)
  const surplus = entries
    .filter(entry => entry.isEntry && entry.file !== kept)
    .slice(KEPT_ENTRIES - 1)
  const leftovers = entries.filter(entry => !entry.isEntry && !entry.file.endsWith('.lock'))
  for (const entry of [...surplus, ...leftovers]) {
    if (Date.now() - entry.usedMs < MIN_AGE_MS) continue
    await rm(entry.file, { recursive: true, force: true })
  }
}
