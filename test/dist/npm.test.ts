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
/** Types of the library, and the same in the source. */
const SCHEMA_TYPES = [
  'CommandInfo',
  'CommandLimits',
  'KillReply',
  'SessionEvent',
  'SessionInfo',
  'SignalTarget',
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
      `import { createClient, type RunRequest } from 'guestd/client'
       const guest = createClient({ connect: 'unix:/run/guestd.sock' })
       export const request: RunRequest = { command: 'true', limits: { pids: 1 } }
       export const path: string = (await guest.session()).workspace.path
       // @ts-expect-error the field is a string
       export const state: number = (await guest.session()).state
       // @ts-expect-error a request has no such field
       export const wrong: RunRequest = { command: 'true', nothing: 1 }`,
    )
    const compilerOptions = {
      ...{ module: 'nodenext', target: 'es2024', strict: true, exactOptionalPropertyTypes: true },
      ...{ noEmit: true, allowImportingTsExtensions: true },
      ...{ types: ['node'], typeRoots: [join(checkout, 'node_modules/@types')] },
    }
    const project = { compilerOptions, include: ['*.ts'] }
    await writeFile(join(app, 'tsconfig.json'), JSON.stringify(project))
    t.equal(await offline(app, home, tsc, '-p', '.'), '')
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
