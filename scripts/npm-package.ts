/** The npm package for hosts, as a folder: the client library, guestctl, and the documents that hosts need. */
import { chmod, copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'

const root = join(import.meta.dirname, '..')
const TEMPLATE = join(root, 'packaging/npm')

/** Documents about the work on guestd, and about guests. */
const NOT_FOR_HOSTS = new Set(['architecture.md', 'guarantees.md', 'images.md', 'install.md'])

/** Loads the ES module, so that `import` and `require` get the same instance (Node 22.12 and later). */
const COMMON_JS = "module.exports = require('./client.js')\n"

export interface NpmPackage {
  readonly version: string
  /** The declarations of `guestd/client`. */
  readonly types: string
  /** The licences of the packages that are bundled into its programs; empty if there are none. */
  readonly licences: string
}

/** Fills `dist/npm` from the build's output in `dist/`, ready for `npm pack`. */
export async function writeNpmPackage({ version, types, licences }: NpmPackage): Promise<void> {
  const dist = join(root, 'dist')
  const folder = join(dist, 'npm')
  await rm(folder, { recursive: true, force: true })
  await mkdir(join(folder, 'docs'), { recursive: true })
  const manifest = JSON.parse(await readFile(join(TEMPLATE, 'package.json'), 'utf8'))
  await writeFile(
    join(folder, 'package.json'),
    `${JSON.stringify({ ...manifest, version }, null, 2)}\n`,
  )
  for (const name of ['client.js', 'guestctl.js', 'guestd_native.node'])
    await copyFile(join(dist, name), join(folder, name))
  await chmod(join(folder, 'guestctl.js'), 0o755)
  await writeFile(join(folder, 'client.cjs'), COMMON_JS)
  for (const name of ['client.d.ts', 'client.d.cts']) await writeFile(join(folder, name), types)
  if (licences !== '') await writeFile(join(folder, 'THIRD-PARTY-LICENSES.txt'), licences)
  await copyFile(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  await writeDocuments(folder)
}

/** The README of the package, and documents whose links lead to files of the package only. */
async function writeDocuments(folder: string): Promise<void> {
  const docs = await readdir(join(root, 'docs'))
  const forHosts = docs.filter(name => name.endsWith('.md') && !NOT_FOR_HOSTS.has(name))
  const documents = [
    { from: join(TEMPLATE, 'README.md'), to: 'README.md' },
    ...forHosts.map(name => ({ from: join(root, 'docs', name), to: `docs/${name}` })),
  ]
  const packaged = new Set([...documents.slice(1).map(({ to }) => to), 'LICENSE'])
  for (const { from, to } of documents) {
    const text = withoutForeignLinks(await readFile(from, 'utf8'), to, packaged)
    await writeFile(join(folder, to), text)
  }
}

/** Keeps the text of a link to a file that is not in the package, without the link. */
export function withoutForeignLinks(
  text: string,
  file: string,
  packaged: ReadonlySet<string>,
): string {
  return text.replace(/\[([^\]]*)\]\(([^)#\s]+)[^)\s]*\)/g, (link, words: string, path: string) => {
    const target = relative('', join(dirname(file), path))
    return /^https?:/.test(path) || packaged.has(target) ? link : words
  })
}
