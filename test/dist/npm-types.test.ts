/** The declarations of the npm package, for every way to resolve them. */

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { checkout, installApp, tools } from './npm-app.ts'

/** Types of the library that are the same in the source. */
const SCHEMA_TYPES = [
  'CommandInfo',
  'CommandLimits',
  'KillReply',
  'SessionEvent',
  'SessionInfo',
  'SignalTarget',
  'SessionRequest',
  'StopFrame',
]

const NODE_TYPES = { types: ['node'], typeRoots: [join(checkout, 'node_modules/@types')] }

/** Compiler options of hosts. attw looks at node10 and at node16 for CommonJS too. */
const SETTINGS: Readonly<Record<string, object>> = {
  nodenext: { module: 'nodenext', target: 'es2022', lib: ['es2022'] },
  bundler: { module: 'preserve', moduleResolution: 'bundler', target: 'es2024' },
}

const app = await installApp(t)

t.test('attw finds nothing', async t => {
  const report = JSON.parse(await app.run(tools.attw, app.tarball, '--format=json'))
  t.same(report.analysis.problems, [])
  t.same(report.problems ?? {}, {})
  const { entrypoints } = report.analysis
  t.same(Object.keys(entrypoints).includes('./client'), true)
})

t.test('publint finds nothing', async t => {
  t.match(await app.run(tools.publint, 'run', '--strict', app.tarball), /All good!/)
})

const USE = `import { createClient, type RunRequest, type SessionRequest } from 'guestd/client'
export const guest = createClient({ connect: 'unix:/run/guestd.sock' })
export const request: RunRequest = { command: 'true', limits: { pids: 1 } }
export const pathOf = async (): Promise<string> => (await guest.session()).workspace.path
// @ts-expect-error the field is a string
export const stateOf = async (): Promise<number> => (await guest.session()).state
// @ts-expect-error a request has no such field
export const wrong: RunRequest = { command: 'true', nothing: 1 }
export const program: RunRequest = { argv: ['true'], env: { A: 'b' }, input: 'text' }
// @ts-expect-error one of the two
export const both: RunRequest = { command: 'true', argv: ['true'] }
// @ts-expect-error one of the two
export const neither: RunRequest = { cwd: '/' }
// @ts-expect-error variables are strings
export const env: RunRequest = { command: 'true', env: { A: 1 } }
// @ts-expect-error variables have names
export const list: RunRequest = { command: 'true', env: 'A=b' }
// @ts-expect-error so are those of a session
export const session: SessionRequest = { id: 's', env: { A: 1 } }
`

t.test('a consumer compiles under each way to resolve modules', async t => {
  // The same program as an ES module and as CommonJS, and the example of the README.
  const readme = await readFile(join(app.installed, 'README.md'), 'utf8')
  const [, example = ''] = /```ts\n(.*?)```/s.exec(readme) ?? []
  t.match(example, 'createClient')
  const files = { 'use.ts': USE, 'use.cts': USE, 'example.mts': example }
  for (const [name, text] of Object.entries(files)) await writeFile(join(app.folder, name), text)
  for (const [name, options] of Object.entries(SETTINGS)) {
    const compilerOptions = {
      ...options,
      ...NODE_TYPES,
      strict: true,
      noEmit: true,
      skipLibCheck: false,
    }
    const project = { compilerOptions, files: Object.keys(files) }
    await writeFile(join(app.folder, `${name}.json`), JSON.stringify(project))
    t.equal(await app.run(tools.tsc, '-p', `${name}.json`), '', name)
  }
})

t.test('its types are those of the source, with exact optional properties too', async t => {
  const same = SCHEMA_TYPES.map(
    name => `export const ${name}: Same<Client.${name}, Source.${name}> = true`,
  )
  await writeFile(
    join(app.folder, 'types.ts'),
    `import type * as Client from 'guestd/client'
     import type * as Source from '${join(checkout, 'src/protocol/schemas.ts')}'
     type Same<A, B> =
       (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
     ${same.join('\n')}`,
  )
  const compilerOptions = {
    ...{ module: 'node16', target: 'es2024', strict: true, exactOptionalPropertyTypes: true },
    ...{ noEmit: true, allowImportingTsExtensions: true },
    ...NODE_TYPES,
  }
  const project = { compilerOptions, files: ['types.ts', 'use.ts'] }
  await writeFile(join(app.folder, 'same.json'), JSON.stringify(project))
  t.equal(await app.run(tools.tsc, '-p', 'same.json'), '')
})

t.test('one file declares them, and exports public names only', async t => {
  const text = await readFile(join(app.installed, 'client.d.ts'), 'utf8')
  t.notMatch(text, /\b(import|require)\b *[({*]|from ['"]|typebox/i)
  const exported = [...text.matchAll(/^export (?:declare )?(?:\w+) (\w+)/gm)].map(
    ([, name]) => name,
  )
  const source = await readFile(join(checkout, 'src/client/index.ts'), 'utf8')
  const lists = [...source.matchAll(/\{([^}]*)\}/g)].flatMap(([, list = '']) => list.split(','))
  const names = lists.map(name => name.trim().replace(/^type /, '')).filter(name => name !== '')
  t.same(exported.sort(), names.sort())
  t.equal(await readFile(join(app.installed, 'client.d.cts'), 'utf8'), text)
})
