/** Of the declarations of a build, those that an entry leads to: types of the inside are not published. */
import { readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'

const IMPORT = /(from '|import\(')(\.[^']*)\.ts'/g

/**
 * Deletes every other declaration below the folder, and folders that are empty then. Imports name `.js` files,
 * so that no option of the compiler is needed to read them.
 */
export async function keepPublicTypes(folder: string, entry: string): Promise<void> {
  const kept = new Set<string>()
  const left = [join(folder, entry)]
  for (let file = left.pop(); file !== undefined; file = left.pop()) {
    if (kept.has(file)) continue
    kept.add(file)
    const text = await readFile(file, 'utf8')
    for (const [, , path = ''] of text.matchAll(IMPORT))
      left.push(join(dirname(file), `${path}.d.ts`))
    await writeFile(file, text.replaceAll(IMPORT, "$1$2.js'"))
  }
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.map(one => ({ one, path: join(one.parentPath, one.name) }))
  for (const { one, path } of paths) if (one.isFile() && !kept.has(path)) await rm(path)
  const folders = paths.filter(({ one }) => one.isDirectory()).map(({ path }) => path)
  // The deepest ones first.
  for (const path of folders.sort((a, b) => b.length - a.length)) {
    const isUsed = [...kept].some(file => !relative(path, file).startsWith('..'))
    if (!isUsed) await rmdir(path)
  }
}
