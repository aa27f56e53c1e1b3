import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { updatedDocuments } from '../../scripts/update-docs.ts'
import { exitFields } from '../../src/protocol/schemas/parts.ts'
import { SessionInfo } from '../../src/protocol/schemas.ts'
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

/** The members of an interface of the client library, as its source has them. */
function membersOf(name: string): readonly string[] {
  const source = readFileSync(join(root, 'src/client/client.ts'), 'utf8')
  const [, body = ''] = new RegExp(`export interface ${name} {\\n(.*?)\\n}`, 's').exec(source) ?? []
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[(:]/gm)].map(([, member = '']) => member)
}

t.test('the documents name every field of an exit and of the session', async t => {
  const rows = [
    ['docs/frames.md', Object.keys(exitFields)],
    ['docs/api.md', Object.keys(SessionInfo.properties)],
  ] as const
  for (const [path, fields] of rows) {
    const text = readFileSync(join(root, path), 'utf8')
    t.ok(fields.length > 8, 'the fields are found')
    for (const field of fields) t.ok(text.includes(`\`${field}\``), `${path}: ${field}`)
  }
})

t.test('docs/client.md has a row for every option and call of the client', async t => {
  const rows = readFileSync(join(root, 'docs/client.md'), 'utf8')
    .split('\n')
    .filter(line => line.startsWith('| `'))
    .map(line => line.split('|')[1] ?? '')
    .join(' ')
  for (const name of ['ClientOptions', 'GuestdClient']) {
    const members = membersOf(name)
    t.ok(members.length > 7, `the members of ${name} are found`)
    for (const member of members) t.match(rows, new RegExp(`\`${member}[(\`]`), `${name}.${member}`)
  }
})

t.test('a newcomer needs two commands', async t => {
  const [first = ''] = docBlocks()
    .filter(({ file, language }) => file === 'README.md' && language === 'sh')
    .map(({ text }) => text)
  const commands = first
    .trim()
    .split('\n')
    .map(line => line.replace(/ +#.*/, ''))
  t.same(commands, ['make run', 'make test'])
})
