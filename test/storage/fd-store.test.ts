import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { run as runCommand, startGuestd, type Teardown, until } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { attach, fsck, makeImage, makeMountPoint } from '../helpers/volume.ts'

const PROGRAM = join(import.meta.dirname, '../helpers/fd-store.py')

/** A service manager, and what it said so far. */
async function openStore(t: Teardown & Parameters<typeof makeScratch>[0]) {
  const folder = makeScratch(t)
  const notify = join(folder, 'notify')
  const store = join(folder, 'store')
  const child = spawn('python3', [PROGRAM, 'hold', notify, store], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    said += text
  })
  await until(() => said.includes('listening'))
  return { notify, store, said: () => said.split('\n').slice(1, -1) }
}

t.test(
  'a service manager keeps the descriptor over a restart, and lets go of it for the unmount',
  async t => {
    const manager = await openStore(t)
    const image = makeImage(t)
    const workspace = attach(t, image)
    const guestd = await startGuestd(t, {
      config: { workspace, workspaceMount: makeMountPoint(t) },
      env: { NOTIFY_SOCKET: manager.notify },
      wrap: ['python3', PROGRAM, 'become', manager.store],
    })
    await until(() => manager.said().includes('+workspace'))
    await runCommand(guestd, { command: 'echo kept > file' })
    await guestd.kill()
    await guestd.start()
    t.equal((await runCommand(guestd, { command: 'cat file' })).stdout, 'kept\n')
    const flush = (await guestd.request('POST', '/v1/session/flush')).json()
    t.match(flush, { clean: true, errorsSince: 'mount' })
    t.same(manager.said(), ['+workspace'], 'what is kept is used, and not stored again')

    t.equal(await guestd.stop(), 0)
    t.match(guestd.log(), '"outcome":"unmount"')
    t.same(manager.said(), ['+workspace', '-workspace'])
    t.equal(fsck(image).status, 0)
  },
)
