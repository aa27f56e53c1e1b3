import { globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import t from 'tap'

const SRC = join(import.meta.dirname, '../../src')
const DOCUMENT = join(import.meta.dirname, '../../docs/architecture.md')

/** Files whose types every room may import. */
const TYPES_FOR_ALL = ['config/types.ts', 'log.ts']

/** Modules of Node that do no I/O: `protocol` may import these alone. */
const PURE_MODULES = ['node:buffer', 'node:crypto', 'node:string_decoder', 'node:util', 'node:zlib']

/** File names that mean the same in every room: the entry, the types, and the name of a call from the API to guestctl. */
const SHARED_NAMES = [
  ...['main.ts', 'types.ts', 'index.ts', 'problem.ts'],
  ...['run.ts', 'list.ts', 'inspect.ts', 'output.ts', 'stdin.ts', 'signal.ts', 'kill.ts'],
  ...['get.ts', 'set.ts', 'flush.ts', 'stop.ts', 'start.ts', 'largest.ts', 'clear-temporary.ts'],
]

type Rooms = ReadonlyMap<string, readonly string[]>

/** What each part of src/ may import, by the sections and the table of docs/architecture.md. */
function readRooms(text: string): Rooms {
  const sections = text.matchAll(
    /^### `src\/([\w-]+)(?:\/|\.ts)`\n(?:(?!###)[\s\S])*?^- May import: (.*)$/gm,
  )
  const files = text.matchAll(/^\| `src\/([\w-]+)\.ts` \| ([^|]*) \|/gm)
  return new Map(
    [...sections, ...files].map(([, room = '', list = '']) => [
      room,
      [...list.matchAll(/`([\w-]+)`/g)].map(([, name = '']) => name),
    ]),
  )
}

/** The rooms of the diagram, from the highest floor to the lowest; those of one line share a floor. */
function readFloors(text: string, rooms: Rooms): string[][] {
  const diagram = /```text\nguestd\.js[\s\S]*?```/.exec(text)?.[0] ?? ''
  return diagram
    .split('\n')
    .map(line => [...line.matchAll(/[\w-]+/g)].flatMap(([name]) => (rooms.has(name) ? [name] : [])))
    .filter(floor => floor.length > 0)
}

interface Import {
  readonly specifier: string
  readonly typesOnly: boolean
}

const statement = /^(?:import|export)\s+(type\s)?[^'"]*?from\s+['"]([^'"]+)['"]/gm
const sideEffect = /^import\s+['"]([^'"]+)['"]/gm
const dynamic = /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g

function importsOf(source: string): Import[] {
  const found: Import[] = []
  for (const [, type, specifier = ''] of source.matchAll(statement)) {
    found.push({ specifier, typesOnly: type !== undefined })
  }
  for (const pattern of [sideEffect, dynamic]) {
    for (const [, specifier = ''] of source.matchAll(pattern)) {
      found.push({ specifier, typesOnly: false })
    }
  }
  return found
}

/** `api/v1/commands/stdin.ts` belongs to `api`, `log.ts` to `log`. */
function partOf(path: string): string {
  return path.split('/', 1)[0]?.replace(/\.ts$/, '') ?? ''
}

/** Every import in the file, its path given from src/, that the order forbids. */
function violations(path: string, source: string, rooms: Rooms): string[] {
  const from = partOf(path)
  const allowed = rooms.get(from)
  if (allowed === undefined) return [`${path}: ${from} has no section in docs/architecture.md`]
  return importsOf(source).flatMap(({ specifier, typesOnly }) => {
    if (!specifier.startsWith('.')) {
      const pure = from !== 'protocol' || !specifier.startsWith('node:')
      return pure || PURE_MODULES.includes(specifier) ? [] : [`${path} imports ${specifier}`]
    }
    const target = join(dirname(path), specifier)
    const to = partOf(target)
    if (to === from || allowed.includes(to)) return []
    return typesOnly && TYPES_FOR_ALL.includes(target) ? [] : [`${path} imports ${specifier}`]
  })
}

/** Circles of files, each as the files that reach each other. Imports of types count. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const reach = new Map<string, Set<string>>()
  for (const start of graph.keys()) {
    const seen = new Set<string>()
    const left = [...(graph.get(start) ?? [])]
    for (let file = left.pop(); file !== undefined; file = left.pop()) {
      if (seen.has(file)) continue
      seen.add(file)
      left.push(...(graph.get(file) ?? []))
    }
    reach.set(start, seen)
  }
  const found = new Map<string, string[]>()
  for (const [file, seen] of reach) {
    if (!seen.has(file)) continue
    const circle = [...seen].filter(other => reach.get(other)?.has(file)).sort()
    found.set(circle.join(), circle)
  }
  return [...found.values()]
}

const files = globSync('**/*.ts', { cwd: SRC })
const sources = new Map(files.map(path => [path, readFileSync(join(SRC, path), 'utf8')]))
const document = readFileSync(DOCUMENT, 'utf8')
const rooms = readRooms(document)

t.test('the sections of the document name what src/ has', async t => {
  const parts = [...new Set(files.map(partOf))].sort()
  t.same([...rooms.keys()].sort(), parts)
  for (const [room, list] of rooms) {
    for (const name of list) t.ok(rooms.has(name), `${room}: ${name} is a room`)
  }
})

t.test('each room of the diagram imports only from lower floors', async t => {
  const floors = readFloors(document, rooms)
  const floorOf = new Map(floors.flatMap((floor, index) => floor.map(name => [name, index])))
  const single = ['log', 'log-ring', 'version', 'code-cache']
  t.same([...floorOf.keys(), ...single].sort(), [...rooms.keys()].sort())
  for (const [room, list] of rooms) {
    if (single.includes(room)) continue
    for (const name of list.filter(one => !single.includes(one))) {
      t.ok(Number(floorOf.get(name)) > Number(floorOf.get(room)), `${room} stands above ${name}`)
    }
  }
})

t.test('no file of src/ imports against the order of the rooms', async t => {
  const found = [...sources].flatMap(([path, source]) => violations(path, source, rooms))
  t.same(found, [])
  t.ok(files.length > 50, 'the files are there')
})

t.test('no circle of files, not even of types', async t => {
  const graph = new Map(
    [...sources].map(([path, source]) => [
      path,
      importsOf(source)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => join(dirname(path), specifier)),
    ]),
  )
  t.same(circles(graph), [])
  t.same(
    circles(
      new Map([
        ['a', ['b']],
        ['b', ['c']],
        ['c', ['b']],
      ]),
    ),
    [['b', 'c']],
  )
  t.same(circles(new Map([['a', ['a']]])), [['a']])
})

t.test('no file name is used twice', async t => {
  const paths = new Map<string, string[]>()
  for (const path of files) {
    const name = basename(path)
    if (!SHARED_NAMES.includes(name)) paths.set(name, [...(paths.get(name) ?? []), path])
  }
  t.same(
    [...paths.values()].filter(same => same.length > 1),
    [],
  )
})

t.test('every local import of src/ is read', async t => {
  for (const [path, source] of sources) {
    const lines = source.match(/from '\.|import\('\.|^import '\./gm) ?? []
    const read = importsOf(source).filter(one => one.specifier.startsWith('.'))
    if (read.length !== lines.length) t.equal(read.length, lines.length, path)
  }
})

t.test('an import against the order is found', async t => {
  const edges: readonly [path: string, source: string, bad: boolean][] = [
    ['api/x.ts', "import { createRegistry } from '../commands/registry.ts'", false],
    ['commands/x.ts', "import { createApi } from '../api/app.ts'", true],
    ['commands/x.ts', "import type { App } from '../api/types.ts'", true],
    ['commands/x.ts', "import type { Config } from '../config/types.ts'", false],
    ['commands/x.ts', "import type { Loaded } from '../config/config.ts'", true],
    ['commands/x.ts', "import { loadConfig } from '../config/config.ts'", true],
    ['commands/x.ts', "import { type Config } from '../config/types.ts'", true],
    ['api/v1/x.ts', "import {\n  a,\n  b,\n} from '../../daemon/daemon.ts'", true],
    ['api/v1/x.ts', "const x = await import('../../main.ts')", true],
    ['sys/x.ts', "export { a } from '../protocol/frames.ts'", true],
    ['util/x.ts', "import '../sys/native.ts'", true],
    ['protocol/x.ts', "import { readFileSync } from 'node:fs'", true],
    ['protocol/schemas/x.ts', "import { connect } from 'node:net'", true],
    ['protocol/x.ts', "import { crc32 } from 'node:zlib'", false],
    ['client/x.ts', "import { launch } from '../commands/command.ts'", true],
    ['cli/x.ts', "import { openVsock } from '../sys/vsock.ts'", true],
    ['elsewhere/x.ts', '', true],
  ]
  for (const [path, source, bad] of edges) {
    t.equal(violations(path, source, rooms).length > 0, bad, `${path}: ${source}`)
  }
})
