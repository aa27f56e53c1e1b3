import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { rows } from '../../../src/config/settings.ts'
import { helpText, settingsMarkdown } from '../../../src/config/settings-text.ts'

t.test('every key is in the help and in the table of the settings, with its default', async t => {
  const help = helpText()
  const table = settingsMarkdown()
  for (const { name, variable, key } of rows) {
    t.match(help, new RegExp(`\\n  ${name.replace('.', '\\.')} \\(${variable}\\)\\n`))
    t.ok(help.includes(key.sentence))
    const line = table.split('\n').find(one => one.startsWith(`| \`${name}\` |`)) ?? ''
    t.equal(line.split(' | ').length, 6, line)
    t.ok(line.includes(variable) && line.includes(JSON.stringify(key.toJson(key.fallback))))
  }
})

t.test('the variable of a key separates its words', async t => {
  const variables = new Map(rows.map(row => [row.name, row.variable]))
  t.equal(variables.get('reattachGraceMs'), 'GUESTD_REATTACH_GRACE_MS')
  t.equal(variables.get('output.ringBytes'), 'GUESTD_OUTPUT_RING_BYTES')
  t.equal(new Set(variables.values()).size, rows.length)
})

t.test('every default is a value that its key takes', async t => {
  for (const { name, key } of rows) {
    const read = key.read(key.toJson(key.fallback), '/')
    t.same(read, { value: key.fallback }, name)
  }
})

t.test('docs/settings.md has a row for every key, and these rows to the letter', async t => {
  const text = readFileSync(join(import.meta.dirname, '../../../docs/settings.md'), 'utf8')
  const table = text.split('\n').filter(line => line.startsWith('| `'))
  const names = table.map(line => /^\| `([^`]+)` \| `(GUESTD_\w+)` \|/.exec(line)?.slice(1))
  t.same(
    names,
    rows.map(({ name, variable }) => [name, variable]),
  )
  const begins = (line: string) => table.some(row => row.startsWith(line))
  t.ok(begins('| `listen` | `GUESTD_LISTEN` | list of addresses |'))
  t.ok(begins('| `allowRoot` | `GUESTD_ALLOW_ROOT` | boolean | true or false | `true` |'))
  t.ok(
    begins(
      '| `output.ringBytes` | `GUESTD_OUTPUT_RING_BYTES` | integer | a whole number from 4096 to 1073741824 | `16777216` |',
    ),
  )
})
