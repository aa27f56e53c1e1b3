/** Every way to turn a machine off leads through guestd's stop, in order. */

import { execFileSync } from 'node:child_process'
import path from 'node:path'
import t, { type Test } from 'tap'
import { ensureImage } from '../../rootfs/image.ts'
import { makeVolume } from '../../vm/workspace-volume.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { asRoot, openClient, run, seen } from './ask.ts'
import { bootGuest, type Guest } from './harness.ts'

const AGENT = path.join(import.meta.dirname, 'fixtures/agent')
const MIB = 1024 * 1024
/** What has to be on the console, in this order. */
const ORDER = [
  'agent: finished',
  '"msg":"stopping"',
  '"command":"worker"',
  '"component":"session"',
  '"msg":"stopped"',
]

const image = await ensureImage({ agent: AGENT })

/** Boots with work going on, turns the machine off in this way, and looks at what is left. */
async function testOff(t: Test, off: (guest: Guest) => Promise<unknown>): Promise<void> {
  const volume = path.join(makeScratch(t), 'volume')
  await makeVolume(volume)
  const guest = await bootGuest(t, { image, volume })
  const client = openClient(t, guest)
  t.match(
    (
      await run(client, {
        command: 'until test -e agent-was-here; do sleep 0.1; done; stat -c %U agent-was-here',
      })
    ).out,
    'agent\n',
  )
  const worker = 'trap "echo last words >words; exit 3" TERM; echo up; while :; do sleep 0.1; done'
  await client.start({ id: 'worker', command: worker })
  await seen(client, 'worker', 'up')
  await client.start({ command: `head -c ${64 * MIB} /dev/zero >dirty; sleep 1000` })
  await run(client, {
    command: `until [ "$(stat -c %s dirty)" = ${64 * MIB} ]; do sleep 0.1; done`,
  })

  await off(guest)
  t.match(await guest.exited, /exit code 0/, 'the machine is off')
  const console = await guest.console()
  let at = -1
  for (const text of ORDER) {
    const next = console.indexOf(text, at + 1)
    t.ok(next > at, `${text} comes next`)
    at = next
  }
  t.match(console, /"command":"worker"[^\n]*"cause":"stopped"[^\n]*"exitCode":3/)
  t.match(
    execFileSync('e2fsck', ['-f', '-n', volume], { encoding: 'utf8', stdio: 'pipe' }),
    /files/,
  )
  const cat = (file: string) =>
    execFileSync('debugfs', ['-R', `cat /${file}`, volume], { encoding: 'utf8', stdio: 'pipe' })
  t.equal(cat('words'), 'last words\n', 'what the command wrote at its end')
  t.equal(cat('finished'), 'agent: finished\n', 'what the agent wrote at its end')
  t.match(
    execFileSync('dumpe2fs', ['-h', volume], { encoding: 'utf8', stdio: 'pipe' }),
    /state: +clean/,
  )
}

t.test('systemctl poweroff', t =>
  testOff(t, guest => asRoot(openClient(t, guest), 'systemctl --no-block poweroff')),
)

t.test('the power button, pressed by the host', t => testOff(t, guest => guest.pressPowerButton()))

t.test('Ctrl-Alt-Del, pressed by the host', t => testOff(t, guest => guest.pressCtrlAltDel()))
