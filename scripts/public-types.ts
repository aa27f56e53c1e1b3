/** One file of declarations for the users of a module: what its entry exports, and the types that those need. */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

interface Origin {
  readonly file: string
  readonly name: string
}

/** A file as the compiler writes it: one declaration a name, one statement an unindented line. */
interface Module {
  readonly declared: ReadonlyMap<string, string>
  /** Local names of imports and re-exports, and where they come from. */
  readonly imported: ReadonlyMap<string, Origin>
  /** What the file exports from others. */
  readonly exported: readonly string[]
}

/**
 * Rolls the declarations of a build up into one text. Types that no public type needs are left out. A type that
 * is derived from a constant (`keyof typeof table`, `(typeof list)[number]`) becomes a union of its members, so
 * that the constant can be left out too.
 *
 * @param entry a `.d.ts` file that re-exports by name
 * @throws Error for a declaration that this cannot read
 */
export async function rollUpTypes(entry: string): Promise<string> {
  const modules = new Map<string, Module>()
  const load = async (file: string): Promise<Module> => {
    const known = modules.get(file)
    if (known !== undefined) return known
    const module = parseModule(file, await readFile(file, 'utf8'))
    modules.set(file, module)
    return module
  }
  const resolve = async ({ file, name }: Origin): Promise<Origin> => {
    const origin = (await load(file)).imported.get(name)
    return origin === undefined ? { file, name } : await resolve(origin)
  }

  const root = await load(entry)
  const names = new Map<string, string>()
  const left: Origin[] = []
  for (const name of root.exported) {
    const origin = await resolve({ file: entry, name })
    names.set(keyOf(origin), name)
    left.push(origin)
  }
  const isPublic = new Set(names.keys())
  const texts: string[] = []
  for (let origin = left.shift(); origin !== undefined; origin = left.shift()) {
    const { declared, imported } = await load(origin.file)
    const text = withoutConstants(declared.get(origin.name), declared, origin)
    const renames = new Map<string, string>()
    for (const local of identifiersOf(text)) {
      if (!declared.has(local) && !imported.has(local)) continue
      const used = await resolve({ file: origin.file, name: local })
      const key = keyOf(used)
      if (!names.has(key)) {
        names.set(key, freeName(local, names))
        left.push(used)
      }
      renames.set(local, names.get(key) ?? local)
    }
    texts.push(
      `${isPublic.has(keyOf(origin)) ? withExport(text) : text}\n`.replace(
        /\b[A-Za-z_]\w*\b/g,
        word => renames.get(word) ?? word,
      ),
    )
  }
  // Without it, declarations that are not exported would be exported too.
  return `${texts.join('')}export {};\n`
}

const keyOf = ({ file, name }: Origin) => `${file}#${name}`

function freeName(wanted: string, names: ReadonlyMap<string, string>): string {
  const taken = new Set(names.values())
  let name = wanted
  for (let count = 2; taken.has(name); count += 1) name = `${wanted}${count}`
  return name
}

const FROM = /^(import|export) (?:type )?\{([^}]*)\} from '(\.[^']*)\.(?:ts|js)';$/
/** Nothing public may need it: a name from a package stays unknown, and the type check of the package fails. */
const PACKAGE = /^import .* from '[^.][^']*';$/
const DECLARATION = /^(?:export )?(?:declare )?(interface|type|class|function|const) (\w+)/m

function parseModule(file: string, text: string): Module {
  const declared = new Map<string, string>()
  const imported = new Map<string, Origin>()
  const exported: string[] = []
  for (const statement of statementsOf(text)) {
    const code = statement.replace(/^\/\*\*.*?\*\/\n/gs, '')
    const [, kind, list = '', path = ''] = FROM.exec(code) ?? []
    const name = DECLARATION.exec(code)?.[2]
    if (kind !== undefined) {
      for (const one of list.split(',').filter(part => part.trim() !== '')) {
        const [original = '', local = original] = one
          .trim()
          .replace(/^type /, '')
          .split(' as ')
        imported.set(local, { file: join(dirname(file), `${path}.d.ts`), name: original })
        if (kind === 'export') exported.push(local)
      }
    } else if (name !== undefined) declared.set(name, statement.replace(/^export /m, ''))
    else if (code !== 'export {};' && !PACKAGE.test(code))
      throw new Error(`${file}: cannot be rolled up: ${code}`)
  }
  return { declared, imported, exported }
}

/** Each with the comment above it; a comment on the file itself goes with the first, and is dropped. */
function statementsOf(text: string): string[] {
  const statements: string[] = []
  let lines: string[] = []
  for (const line of text.split('\n')) {
    if (line === '' && lines.length === 0) continue
    lines.push(line)
    const code = lines
      .join('\n')
      .replace(/\/\*\*.*?\*\//gs, '')
      .trim()
    const isBlock = /^(?:export )?(?:declare )?(?:interface|class) /.test(code)
    const isOver = isBlock ? line === '}' : /^\S.*;$/.test(line) && !line.startsWith('/*')
    if (!isOver) continue
    statements.push(lines.join('\n').replace(/^\/\*\*(?:(?!\*\/).)*\*\/\n(?=\/\*\*|import )/s, ''))
    lines = []
  }
  return statements
}

/** The same type, written out. */
function withoutConstants(
  text: string | undefined,
  declared: ReadonlyMap<string, string>,
  { file, name }: Origin,
): string {
  if (text === undefined) throw new Error(`${file} declares no ${name}`)
  return text
    .replace(/keyof typeof (\w+)/g, (_, table) =>
      unionOf([...(declared.get(table) ?? '').matchAll(/^ {4}readonly (\w+):/gm)]),
    )
    .replace(/\(typeof (\w+)\)\[number\]/g, (_, list) =>
      unionOf([...(declared.get(list) ?? '').matchAll(/['"](\w+)['"]/g)]),
    )
}

function unionOf(members: readonly RegExpMatchArray[]): string {
  if (members.length === 0) throw new Error('a constant without members')
  return members.map(([, member]) => `'${member}'`).join(' | ')
}

function identifiersOf(text: string): ReadonlySet<string> {
  const code = text.replace(/\/\*\*.*?\*\//gs, '').replace(/'[^']*'|"[^"]*"/g, '')
  return new Set(code.match(/\b[A-Za-z_]\w*\b/g))
}

function withExport(text: string): string {
  return text.replace(/^(?=declare|interface|type)/m, 'export ')
}
