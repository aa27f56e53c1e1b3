/** Computes cache keys from content. */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readlink, stat } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'

/** Hex digits of a key: 64 bits, far more than a cache folder's entries can collide in. */
const KEY_DIGITS = 16

/**
 * A hash of words and files. Of a file its bytes and execute bit count, of a link its target, of a
 * folder all that is in it, by name; times and owners do not.
 */
export async function contentKey(
  words: readonly string[],
  files: readonly string[],
): Promise<string> {
  const hash = createHash('sha256')
  for (const word of words) hash.update(`word ${word.length} ${word}\n`)
  for (const file of files) await addFile(hash, file, path.basename(file))
  return hash.digest('hex').slice(0, KEY_DIGITS)
}

async function addFile(
  hash: ReturnType<typeof createHash>,
  file: string,
  name: string,
): Promise<void> {
  const link = await readlink(file).catch(() => null)
  if (link !== null) {
    hash.update(`link ${name} ${link}\n`)
    return
  }
  const entry = await stat(file)
  if (entry.isDirectory()) {
    hash.update(`folder ${name}\n`)
    for (const child of (await readdir(file)).sort()) {
      await addFile(hash, path.join(file, child), `${name}/${child}`)
    }
    return
  }
  hash.update(`file ${name} ${(entry.mode & 0o111) !== 0} ${entry.size}\n`)
  await pipeline(createReadStream(file), async chunks => {
    for await (const chunk of chunks) hash.update(chunk)
  })
}
