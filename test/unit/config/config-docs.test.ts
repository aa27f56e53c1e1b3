import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  ConfigError,
  type ConfigSources,
  loadConfig,
  renderSettings,
} from '../../../src/config/config.ts'
import { helpText } from '../../../src/config/settings-text.ts'

interface DocumentedKey {
  readonly name: string
  readonly variable: string
  readonly type: string
  /** As JSON. */
  readonly fallback: string
  readonly sentence: string
}

/** The rows of the table in docs/settings.md, read as a reader does. */
const documented: readonly DocumentedKey[] = readFileSync(
  join(import.meta.dirname, '../../../docs/settings.md'),
  'utf8',
)
  .split('\n')
  .filter(line => line.startsWith('| `'))
  .map(line => {
    const [name = '', variable = '', type = '', , fallback = '', sentence = ''] = line
      .replace(/^\| | \|$/g, '')
      .split(' | ')
    const bare = (cell: string) => cell.replace(/^`|`$/g, '')
    return { name: bare(name), variable: bare(variable), type, fallback: bare(fallback), sentence }
  })

/** The settings in force with these variables and no file, as `guestd --check` prints them. */
function settingsOf(env: ConfigSources['env']): Record<string, unknown> {
  const absent = () => {
    throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
  }
  const sources = { argv: [], env, readFile: absent, readSecret: absent, pid: 1, cwd: '/' }
  const loaded = loadConfig(sources)
  if (loaded.action !== 'run') throw new Error(`it would ${loaded.action}`)
  return JSON.parse(renderSettings(loaded.config))
}

t.test(
  'docs/settings.md has every key in its order, with the default that is in force',
  async t => {
    t.ok(documented.length > 40, `${documented.length} rows`)
    const flat = (value: object, prefix: string): [string, unknown][] =>
      Object.entries(value).flatMap(([part, one]) => {
        const name = `${prefix}${part}`
        const isKey = documented.some(row => row.name === name)
        return isKey ? [[name, one] as [string, unknown]] : flat(Object(one), `${name}.`)
      })
    t.strictSame(
      documented.map(({ name, fallback }) => [name, JSON.parse(fallback)]),
      flat(settingsOf({}), ''),
    )
  },
)

t.test('each variable in docs/settings.md sets the key of its row', async t => {
  /** A value that no key of the type takes. */
  const bad: Readonly<Record<string, string>> = {
    integer: 'many',
    number: 'many',
    boolean: 'maybe',
    'list of addresses': 'carrier:pigeon',
  }
  let counted = 0
  for (const { name, variable, type } of documented) {
    const value = bad[type]
    if (value === undefined) continue
    counted += 1
    try {
      settingsOf({ [variable]: value })
      t.fail(`${variable}=${value} is taken`)
    } catch (error) {
      const keys = error instanceof ConfigError ? error.bad.map(({ key }) => key) : error
      t.strictSame(keys, [name], variable)
    }
  }
  t.ok(counted > 25, `${counted} keys have such a type`)
  t.equal(new Set(documented.map(({ variable }) => variable)).size, documented.length)
  t.throws(() => settingsOf({ GUESTD_NO_SUCH_KEY: '1' }), ConfigError, 'no other variable is taken')
})

t.test(
  '--help has every key of docs/settings.md, with its variable, default and sentence',
  async t => {
    const paragraphs = helpText().split('\n\n')
    for (const { name, variable, fallback, sentence } of documented) {
      const found = paragraphs.filter(text => text.startsWith(`  ${name} (${variable})\n`))
      t.equal(found.length, 1, name)
      t.ok(found[0]?.includes(`\n      ${sentence}\n`), `${name}: its sentence`)
      t.ok(found[0]?.trimEnd().endsWith(`Default: ${fallback}`), `${name}: its default`)
    }
  },
)

t.test('some rows of docs/settings.md, to the letter', async t => {
  const rowOf = (name: string) => documented.find(row => row.name === name)
  const some = [
    ['listen', 'GUESTD_LISTEN', 'list of addresses', '[]'],
    ['allowRoot', 'GUESTD_ALLOW_ROOT', 'boolean', 'true'],
    ['reattachGraceMs', 'GUESTD_REATTACH_GRACE_MS', 'integer', '30000'],
    ['output.ringBytes', 'GUESTD_OUTPUT_RING_BYTES', 'integer', '16777216'],
  ] as const
  for (const [name, variable, type, fallback] of some) {
    const row = rowOf(name)
    t.strictSame([row?.variable, row?.type, row?.fallback], [variable, type, fallback], name)
  }
})
