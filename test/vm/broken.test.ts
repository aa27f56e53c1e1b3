/** Machines with something wrong: they boot, answer, and say what it is. */

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import type { Health } from '../../src/client/index.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { openClient, run } from './ask.ts'
import { bootGuest } from './harness.ts'

/** The reasons in words, one a line. */
const words = (reasons: Health['reasons']) => reasons.map(({ message }) => message).join('\n')

/** A command of root's that needs no workspace. */
const elsewhere = (command: string) => ({ command, user: 'root' })

t.test('without its volume', async t => {
  const guest = await bootGuest(t, { volume: null })
  const client = openClient(t, guest)
  const { ready, reasons } = await client.health()
  t.equal(ready, false)
  t.match(words(reasons), /guestd-workspace/, 'it says what it looked for')
  t.match(words(reasons), /\/dev\/vda .*squashfs/, 'and what it saw')
  await t.rejects(run(client, { command: 'true' }), { code: 'workspace_unavailable' })
  t.equal((await run(client, elsewhere('echo works'))).out, 'works\n', 'without it root can look')
  const status = await guest.guestctl(['status'])
  t.match(status.out + status.err, /guestd-workspace/, 'guestctl status says it')
  t.equal(
    (await run(client, elsewhere('systemctl is-system-running --wait'))).out,
    'running\n',
    'no unit failed',
  )

  await t.test('and with a full root', async t => {
    await run(client, elsewhere('head -c 1G /dev/zero >/fill; true'))
    const { reasons } = await client.health()
    t.match(words(reasons), /\/ is full|root.*full|full.*\//, words(reasons))
    t.match(await run(client, elsewhere('echo works')), { out: 'works\n', exitCode: 0 })
    await run(client, elsewhere('rm /fill'))
    t.notMatch(words((await client.health()).reasons), /full/)
  })
})

t.test('with an unknown file system on the volume', async t => {
  const volume = path.join(makeScratch(t), 'volume')
  writeFileSync(volume, Buffer.alloc(8 * 1024 * 1024, 'not a file system '))
  const guest = await bootGuest(t, { volume })
  const client = openClient(t, guest)
  const { ready, reasons } = await client.health()
  t.equal(ready, false)
  t.match(words(reasons), /\/dev\/vdb \(8 MiB\) is nothing that guestd knows/)
  t.match(await run(client, elsewhere('echo works')), { out: 'works\n' })
  t.match((await guest.guestctl(['status'])).out, /is nothing that guestd knows/)
})

t.test('with settings that are wrong', async t => {
  const guest = await bootGuest(t, {
    overlay: { '/etc/guestd/config.json': '{ "user": "agent", "limits": { "pid": 3 } }' },
  })
  t.match(await guest.console(), /limits\.pid/, 'the console says which key')
  const client = openClient(t, guest)
  const { ready, reasons } = await client.health()
  t.equal(ready, false)
  t.match(words(reasons), /configuration: .*limits\.pid/)
  await t.rejects(run(client, { command: 'true' }), { code: 'misconfigured' })
  t.match((await guest.guestctl(['status'])).out, /limits\.pid/)
})

t.test('with its root disk missing the console says so, and the machine ends', async t => {
  const guest = bootGuest(t, { kernelArgs: ['root=/dev/vdz'] })
  await t.rejects(guest, { message: /guestd-init: there is no device \/dev\/vdz/ })
})
