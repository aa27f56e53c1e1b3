import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { updatedDocuments } from '../../scripts/update-docs.ts'
import { docBlocks } from '../helpers/doc-blocks.ts'

const root = join(import.meta.dirname, '../..')
const documents = [
  'README.md',
  'architecture',
  'frames',
  'api',
  'client',
  'operations',
  'storage',
  'images',
].map(name => join(root, name.endsWith('.md') ? name : `docs/${name}.md`))

t.test('the tables in the documents are those of the code', async t => {
  for (const [path, text] of updatedDocuments())
    t.equal(readFileSync(path, 'utf8'), text, `${path}: run node scripts/update-docs.ts`)
})

t.test('every link in the documents leads to a file that is there', async t => {
  for (const path of documents) {
    const links = readFileSync(path, 'utf8').matchAll(/\]\((?!https?:)([^)#]+)(#[^)]*)?\)/g)
    for (const [, target = ''] of links)
      t.ok(existsSync(join(dirname(path), target)), `${path}: ${target}`)
  }
})

/** `text` is for output and diagrams; the process test of the examples runs or parses all others. */
const languages = ['sh', 'console', 'ts', 'json', 'http', 'text']

t.test('every code block in the documents names its language', async t => {
  const blocks = docBlocks()
  t.ok(blocks.length > 25, 'the blocks are found')
  for (const { language, name } of blocks)
    t.ok(languages.includes(language), `${name}: ${language}`)
})
