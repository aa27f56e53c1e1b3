import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { updatedDocuments } from '../../scripts/update-docs.ts'
import { commands } from '../../src/cli/guestctl.ts'
import { exitFields } from '../../src/protocol/schemas/frame-schema.ts'
import { SessionInfo } from '../../src/protocol/schemas.ts'
import { docBlocks, documentFiles, FENCED } from '../helpers/doc-blocks.ts'

const root = join(import.meta.dirname, '../..')
const MARKDOWN = /\.md$/
const ROUTE = /method: '([A-Z]+)',\s+url: '([^']+)'/g
const ROOMS =
  'src|test|scripts|rootfs|vm|systemd|commands|sys|daemon|workspace|volume|protocol|session|api'
/** `commands/plan.ts`, `test/storage/mount.test.ts`; a name with a placeholder is none. */
const SOURCE_FILE = new RegExp(
  `(?<![\\w/.-])(?:${ROOMS})/[\\w./-]+\\.(?:ts|c|json|service|sh)\\b`,
  'g',
)

t.test('the tables in the documents are those of the code', async t => {
  for (const [path, text] of updatedDocuments())
    t.equal(readFileSync(path, 'utf8'), text, `${path}: run node scripts/update-docs.ts`)
})

t.test('every link in the documents leads to a file and a heading that are there', async t => {
  for (const file of documentFiles) {
    const path = join(root, file)
    const links = [...withoutCode(path).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)]
    for (const [link, target = '', anchor] of links) {
      const leadsTo = target === '' ? path : join(dirname(path), target)
      if (!existsSync(leadsTo)) t.fail(`${file}: ${link}: there is no such file`)
      else if (anchor !== undefined)
        t.ok(anchorsOf(leadsTo).has(anchor), `${file}: ${link}: there is no such heading`)
    }
  }
})

t.test('every source file that the documents name is there', async t => {
  const names = documentFiles.flatMap(file =>
    [...readFileSync(join(root, file), 'utf8').matchAll(SOURCE_FILE)].map(([name]) => name),
  )
  t.ok(names.length > 40, 'the names are found')
  // The documents of the rooms leave `src/` out.
  for (const name of new Set(names))
    t.ok(
      ['', 'src', 'docs'].some(folder => existsSync(join(root, folder, name))),
      name,
    )
})

t.test('an anchor is made from a heading as GitHub makes it', async t => {
  const anchors = anchorsOf(join(root, 'docs/operations.md'))
  t.ok(anchors.has('the-state-in-rundir'), 'a name in camel case')
  t.ok(anchors.has('roots-commands'), 'an apostrophe')
  t.notOk(anchors.has('The state in runDir'))
})

t.test('every document is reached from the README', async t => {
  const reached = new Set<string>()
  const follow = (path: string) => {
    if (reached.has(path)) return
    reached.add(path)
    for (const [, target = ''] of withoutCode(path).matchAll(/\]\((?!https?:)([^)#\s]+)/g))
      if (MARKDOWN.test(target)) follow(join(dirname(path), target))
  }
  follow(join(root, 'README.md'))
  for (const file of documentFiles) t.ok(reached.has(join(root, file)), file)
})

/** The text of a document without its blocks of code, in which nothing is a link or a heading. */
function withoutCode(path: string): string {
  return readFileSync(path, 'utf8').replace(FENCED, '')
}

/** The anchors that GitHub gives the headings: lower case, without punctuation, `-` for a space, `-1` for a repetition. */
function anchorsOf(path: string): ReadonlySet<string> {
  if (!MARKDOWN.test(path)) return new Set()
  const seen = new Map<string, number>()
  const anchors = new Set<string>()
  for (const [, heading = ''] of withoutCode(path).matchAll(/^#{1,6} +(.*)$/gm)) {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    const slug = plain
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/ /g, '-')
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    anchors.add(count === 0 ? slug : `${slug}-${count}`)
  }
  return anchors
}

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
  const source = readFileSync(join(root, 'src/client/types.ts'), 'utf8')
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

t.test('the README fits on two pages', async t => {
  const lines = readFileSync(join(root, 'README.md'), 'utf8').split('\n')
  t.ok(lines.length < 150, `${lines.length} lines`)
})

t.test('docs/api.md has a row for every route', async t => {
  const rows = readFileSync(join(root, 'docs/api.md'), 'utf8')
  const routes = globSync('src/api/{v1,ops}/**/*.ts', { cwd: root }).flatMap(file =>
    [...readFileSync(join(root, file), 'utf8').matchAll(ROUTE)].map(
      ([, method, url]) => `${method} ${url}`,
    ),
  )
  t.ok(routes.length > 15, 'the routes are found')
  for (const route of routes)
    t.ok(rows.includes(`\`${route}\``) || rows.includes(`\`${route}?`), route)
})

t.test('docs/guestctl.md has a row for every command', async t => {
  const rows = readFileSync(join(root, 'docs/guestctl.md'), 'utf8')
    .split('\n')
    .filter(line => line.startsWith('| `'))
    .map(line => line.split(' | ')[0] ?? '')
  t.ok(commands.length > 10, 'the commands are found')
  for (const { name } of commands)
    t.ok(
      rows.some(row => new RegExp(`^\\| \`${name}[ \`]`).test(row)),
      name,
    )
})

t.test('every promise in docs/guarantees.md names a test', async t => {
  const promises = readFileSync(join(root, 'docs/guarantees.md'), 'utf8')
    .split('\n')
    .filter(line => line.startsWith('| ') && !line.startsWith('| promise'))
  t.ok(promises.length > 40, 'the promises are found')
  for (const line of promises) t.ok(/\]\(\.\.\/test\/\S+\.test\.ts\)/.test(line), line)
})
