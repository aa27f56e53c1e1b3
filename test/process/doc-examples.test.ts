import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import t, { type Test } from 'tap'
import { type DocBlock, docBlocks } from '../helpers/doc-blocks.ts'
import { type Guestd, startGuestd } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'

const checkout = join(import.meta.dirname, '../..')
const bin = join(checkout, 'node_modules/.bin')

const MACHINE = 'it builds or boots a machine; test/vm and test/dist do that'
const STAYS = 'guestd runs until it is ended; each test starts one'
const VMM = 'it needs a virtual machine monitor and KVM'

/** Blocks that this test cannot run, by their name, with the reason. */
const cannotRun: ReadonlyMap<string, string> = new Map([
  [
    'README.md: make run      # install what is missing, build, and run a real job through guestd',
    MACHINE,
  ],
  ['docs/install.md: apt install ./guestd_0.2.0_amd64.deb', MACHINE],
  ['docs/install.md: export PATH="$PWD/node_modules/.bin:$PATH"', STAYS],
  [
    "docs/install.md: GUESTCTL_CONNECT=unix:/tmp/guestd/api.sock dist/guestctl.js run -- 'echo hello; pwd'",
    STAYS,
  ],
  ['docs/install.md: npm install ./guestd-0.2.0.tgz', MACHINE],
  [
    'docs/images.md: make vm AGENT=DIR INCLUDE="jq" VOLUME=work.img CMD=\'systemctl status agent; jq --version\'',
    MACHINE,
  ],
  ['docs/images.md: make image', MACHINE],
  ['docs/images.md: rm -f fc.sock v.sock', VMM],
  [
    'docs/images.md: curl --unix-socket fc.sock -X PUT http://localhost/actions -d \'{"action_type":"SendCtrlAltDel"}\'',
    VMM,
  ],
  ['docs/images.md: rm -f ch.sock v.sock', VMM],
  [
    'docs/images.md: curl --unix-socket ch.sock -X PUT $api/vm.power-button     # or ch-remote --api-socket ch.sock power-button',
    VMM,
  ],
])

/** The address in the documents; the test has another one. */
const DOCUMENTED_ADDRESS = 'firecracker:/run/vm/v.sock:1023'

/** A failed call is a failed example. */
const CURL = '#!/bin/sh\nexec /usr/bin/curl --fail-with-body "$@"\n'
const MAKEFILE = 'all:\n\t@echo made\n'
/** Examples run in it; none of its scripts needs a network. */
const PACKAGE = JSON.stringify({ name: 'repo', version: '1.0.0', scripts: { test: 'echo tested' } })
const LOCK = JSON.stringify({ name: 'repo', version: '1.0.0', lockfileVersion: 3, packages: {} })

interface Place {
  readonly guestd: Guestd
  /** Where the example runs. */
  readonly dir: string
}

/** A guestd of its own, with the projects that the examples work on. */
async function preparePlace(t: Test): Promise<Place> {
  const dir = makeScratch(t)
  const guestd = await startGuestd(t, { config: { env: { npm_config_cache: join(dir, 'cache') } } })
  symlinkSync(guestd.socketPath, join(dir, 'api.sock'))
  for (const name of ['.', 'repo', 'project']) {
    const folder = join(guestd.workspace, name)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'Makefile'), MAKEFILE)
    writeFileSync(join(folder, 'package.json'), PACKAGE)
    writeFileSync(join(folder, 'package-lock.json'), LOCK)
  }
  mkdirSync(join(guestd.workspace, 'build'))
  writeFileSync(join(dir, 'input'), 'some input\n')
  mkdirSync(join(dir, 'bin'))
  const executable = (name: string, text: string) => {
    writeFileSync(join(dir, 'bin', name), text)
    chmodSync(join(dir, 'bin', name), 0o755)
  }
  executable('curl', CURL)
  for (const name of ['guestd', 'guestctl'])
    executable(name, `#!/bin/sh\nexec '${process.execPath}' '${checkout}/dist/${name}.js' "$@"\n`)
  return { guestd, dir }
}

async function runShell({ guestd, dir }: Place, script: string): Promise<string> {
  const text = script.replaceAll(DOCUMENTED_ADDRESS, guestd.connect)
  const { stdout } = await execa('bash', ['-euo', 'pipefail', '-c', text], {
    cwd: dir,
    extendEnv: false,
    env: { PATH: `${join(dir, 'bin')}:${process.env.PATH}`, GUESTCTL_CONNECT: guestd.connect },
    stdin: 'ignore',
    timeout: 60_000,
  })
  return stdout
}

const memberNames = (line: string) => [...line.matchAll(/"(\w+)":/g)].map(([, name]) => name)

/** Commands after `$ `, with their continuation lines; the rest is their output, with `…` for what is left out. */
async function runConsole(t: Test, place: Place, text: string): Promise<void> {
  const { commands = [], shown = [] } = Object.groupBy(text.trimEnd().split(/(?<!\\)\n/), line =>
    line.startsWith('$ ') ? 'commands' : 'shown',
  )
  const printed = (await runShell(place, commands.map(line => line.slice(2)).join('\n'))).split(
    '\n',
  )
  if (shown.length === 0) return
  t.equal(printed.length, shown.length, 'as many lines as shown')
  for (const [index, line] of shown.entries()) {
    const names = memberNames(printed[index] ?? '')
    t.ok(
      memberNames(line).every(name => names.includes(name)),
      `${line}\n${printed[index]}`,
    )
    t.equal(/"type":"(\w+)"/.exec(printed[index] ?? '')?.[1], /"type":"(\w+)"/.exec(line)?.[1])
  }
}

const TSCONFIG = JSON.stringify({
  compilerOptions: {
    target: 'es2024',
    module: 'nodenext',
    strict: true,
    noEmit: true,
    exactOptionalPropertyTypes: true,
    types: ['node'],
  },
})

/** Type-checked against the packaged types, then run. An example without an import goes on from a client. */
async function runTypeScript({ guestd, dir }: Place, text: string): Promise<void> {
  const client = `import { createClient } from 'guestd/client'
const guest = createClient({ connect: '${DOCUMENTED_ADDRESS}' })\n`
  const program = `${text.includes('import ') ? '' : client}${text}`
  writeFileSync(join(dir, 'example.ts'), program.replaceAll(DOCUMENTED_ADDRESS, guestd.connect))
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(dir, 'tsconfig.json'), TSCONFIG)
  mkdirSync(join(dir, 'node_modules'))
  symlinkSync(join(checkout, 'dist/npm'), join(dir, 'node_modules/guestd'))
  symlinkSync(join(checkout, 'node_modules/@types'), join(dir, 'node_modules/@types'))
  // Without what tap adds to the environment of children.
  const clean = ['-i', `PATH=${process.env.PATH}`]
  const options = { cwd: dir, stdin: 'ignore', timeout: 60_000 } as const
  await execa('env', [...clean, join(bin, 'tsc'), '-p', dir], options)
  await execa('env', [...clean, process.execPath, join(dir, 'example.ts')], options)
}

/** `METHOD path body`. */
async function runHttp(t: Test, { guestd }: Place, text: string): Promise<void> {
  const [, method = '', path = '', body = ''] = /^(\S+) (\S+) ?([\s\S]*)$/.exec(text.trim()) ?? []
  const reply = await guestd.request(method, path, { body: JSON.parse(body) })
  t.ok(reply.status < 400, reply.text)
}

async function runBlock(t: Test, { language, text }: DocBlock): Promise<void> {
  if (language === 'json') {
    t.type(JSON.parse(text), 'object')
    return
  }
  const place = await preparePlace(t)
  if (language === 'sh') await runShell(place, text)
  else if (language === 'console') await runConsole(t, place, text)
  else if (language === 'ts') await runTypeScript(place, text)
  else if (language === 'http') await runHttp(t, place, text)
  else t.fail(`${language} is no language of an example`)
  t.notMatch(place.guestd.log(), /"level":"(error|fatal)"/)
}

const examples = docBlocks().filter(({ language }) => language !== 'text')

for (const block of examples) {
  if (cannotRun.has(block.name)) continue
  t.test(`the example works: ${block.name}`, t => runBlock(t, block))
}

t.test('every example that is not run is in the documents', async t => {
  const names = examples.map(({ name }) => name)
  for (const name of cannotRun.keys()) t.ok(names.includes(name), name)
})
