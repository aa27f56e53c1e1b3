/** With the setting `powerOff` a stop by the API or by a limit ends the machine. */

import { execFileSync } from 'node:child_process'
import path from 'node:path'
import t, { type Test } from 'tap'
import { makeVolume } from '../../vm/workspace-volume.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { openClient, run } from './ask.ts'
import { bootGuest, type Guest } from './harness.ts'

/** The image may have to be built first. */
const LIMIT_MS = 20 * 60_000
const settings = { workspace: 'LABEL=guestd-workspace', user: 'agent' }

/** Works, is stopped and ends; QEMU ends where the machine would start again. */
async function testEnd(t: Test, powerOff: string, stop: (guest: Guest) => Promise<void>) {
  t.setTimeout(LIMIT_MS)
  const volume = path.join(makeScratch(t), 'volume')
  await makeVolume(volume)
  const config = JSON.stringify({ ...settings, powerOff })
  const guest = await bootGuest(t, { volume, overlay: { '/etc/guestd/config.json': config } })
  await run(openClient(t, guest), { command: 'echo kept >file' })
  await stop(guest)
  t.match(await guest.exited, /exit code 0/)
  const cat = execFileSync('debugfs', ['-R', 'cat /file', volume], { stdio: 'pipe' })
  t.equal(cat.toString(), 'kept\n')
  t.match(await guest.console(), '"msg":"the machine ends"')
  return guest
}

t.test('poweroff after the receipt', t =>
  testEnd(t, 'poweroff', async guest => {
    const { code, out } = await guest.guestctl(['stop'])
    t.equal(code, 0, out)
    t.match(out, /\nWorkspace: +clean\n/)
  }),
)

t.test('reboot once the session has been idle for long enough', async t => {
  const guest = await testEnd(t, 'reboot', async guest => {
    const { code, out } = await guest.guestctl(['session', 'set', '--id', 's-1', '--idle', '2s'])
    t.equal(code, 0, out)
  })
  t.match(await guest.console(), /"reason":"idle".*"msg":"the session is stopped"/)
})
