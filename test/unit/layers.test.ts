import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'

/**
 * What each room of src/ may import, from the top to the bottom; docs/architecture.md shows the same order. `config`
 * and `log` are read by main alone; the others know their types.
 */
const base = ['errors', 'util']
const low = ['protocol', 'sys', ...base]
const rooms = ['workspace', 'commands', 'events', 'volume', ...low]
const mayImport: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  util: ['errors'],
  version: [],
  launcher: [],
  'code-cache': [],
  protocol: base,
  sys: ['util'],
  events: low,
  volume: low,
  commands: low,
  workspace: ['events', 'volume', ...low],
  session: rooms,
  api: ['session', ...rooms],
  server: ['api', 'sys', ...base],
  daemon: ['server', 'api', 'session', ...rooms],
  config: base,
  log: ['log-ring', ...base],
  'log-ring': base,
  main: ['daemon', 'server', 'config', 'log', 'log-ring', 'version', 'code-cache', 'sys', ...base],
  client: low,
  cli: ['client', 'volume', 'protocol', 'version', ...base],
}

/** Parts whose types anybody may name. */
const typesForAll = ['config', 'log']

/** Parts of Node that do no I/O, for the pure part of the tree. */
const pureModules = ['node:buffer', 'node:crypto', 'node:string_decoder', 'node:util', 'node:zlib']

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
function violations(path: string, source: string): string[] {
  const from = partOf(path)
  const allowed = mayImport[from]
  if (allowed === undefined) return [`${path}: ${from} has no place in the order`]
  return importsOf(source).flatMap(({ specifier, typesOnly }) => {
    if (!specifier.startsWith('.')) {
      const pure = from !== 'protocol' || !specifier.startsWith('node:')
      return pure || pureModules.includes(specifier) ? [] : [`${path} imports ${specifier}`]
    }
    const to = partOf(join(dirname(path), specifier))
    if (to === from || allowed.includes(to)) return []
    return typesOnly && typesForAll.includes(to) ? [] : [`${path} imports ${specifier}`]
  })
}

t.test('no file of src/ imports against the order of the layers', async t => {
  const root = join(import.meta.dirname, '../../src')
  const files = globSync('**/*.ts', { cwd: root })
  const found = files.flatMap(path => violations(path, readFileSync(join(root, path), 'utf8')))
  t.same(found, [])
  t.ok(files.length > 50, 'the files are there')
})

t.test('every local import of src/ is read', async t => {
  const root = join(import.meta.dirname, '../../src')
  for (const path of globSync('**/*.ts', { cwd: root })) {
    const source = readFileSync(join(root, path), 'utf8')
    const lines = source.match(/from '\.|import\('\.|^import '\./gm) ?? []
    const read = importsOf(source).filter(one => one.specifier.startsWith('.'))
    if (read.length !== lines.length) t.equal(read.length, lines.length, path)
  }
})

t.test('an edge against the order is told', async t => {
  const edges: readonly [path: string, source: string, bad: boolean][] = [
    ['api/x.ts', "import { createRegistry } from '../commands/registry.ts'", false],
    ['commands/x.ts', "import { createApi } from '../api/app.ts'", true],
    ['commands/x.ts', "import type { App } from '../api/types.ts'", true],
    ['commands/x.ts', "import type { Config } from '../config/config.ts'", false],
    ['commands/x.ts', "import { loadConfig } from '../config/config.ts'", true],
    ['commands/x.ts', "import { type Config } from '../config/config.ts'", true],
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
    t.equal(violations(path, source).length > 0, bad, `${path}: ${source}`)
  }
})
