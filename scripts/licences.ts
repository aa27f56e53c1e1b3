/** The licences of the packages that are bundled into `dist/`, which their copies must include. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const RULE = '-'.repeat(80)

/**
 * @param root the folder with `node_modules`
 * @param inputs files that went into a bundle, below `root`
 * @throws Error for a package that names no licence
 */
export async function bundledLicences(root: string, inputs: Iterable<string>): Promise<string> {
  const folders = new Set<string>()
  for (const input of inputs) {
    const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.[0]
    if (folder !== undefined) folders.add(folder)
  }
  // The same version may be in several folders.
  const texts = new Map<string, string>()
  for (const folder of folders) {
    const { title, text } = await licence(join(root, folder))
    texts.set(title, text)
  }
  return [...texts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([title, text]) => `${RULE}\n${title}\n\n${text.trim()}\n`)
    .join('\n')
}

async function licence(folder: string): Promise<{ title: string; text: string }> {
  const about = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
  const title = `${about.name} ${about.version} (${about.license})`
  const file = (await readdir(folder)).find(name => /^(licen[cs]e|copying)(\.|$)/i.test(name))
  if (file !== undefined) return { title, text: await readFile(join(folder, file), 'utf8') }
  if (typeof about.license !== 'string') throw new Error(`${title} names no licence`)
  const author = typeof about.author === 'string' ? about.author : about.author?.name
  return { title, text: `Its package names the licence ${about.license}, and as author ${author}.` }
}
