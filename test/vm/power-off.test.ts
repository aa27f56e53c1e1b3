/** With the setting `powerOff` a stop by the API ends the machine, once its receipt is told. */

import { execFileSync } from 'node:child_process'
import path from 'node:path'
import t from 'tap'
import { makeVolume } from '../../rootfs/volume.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { openClient, run } from './ask.ts'
import { bootGuest } from './harness.ts'

/** The image may have to be built first. */
const LIMIT_MS = 20 * 60_000
const settings = { workspace: 'LABEL=guestd-workspace', user: 'agent' }

for (const powerOff of ['poweroff', 'reboot']) {
  t.test(`${powerOff} after the receipt`, async t => {
    t.setTimeout(LIMIT_MS)
    const volume = path.join(makeScratch(t), 'volume')
    await makeVolume(volume)
    const config = JSON.stringify({ ...settings, powerOff })
    const guest = await bootGuest(t, { volume, overlay: { '/etc/guestd/config.json': config } })
    await run(openClient(t, guest), { command: 'echo kept >file' })
    const { code, out } = await guest.guestctl(['stop'])
    t.equal(code, 0, out)
    t.match(out, /\nWorkspace: +clean\n/)
    // QEMU ends where the machine would start again.
    t.match(await guest.exited, /exit code 0/)
    const cat = execFileSync('debugfs', ['-R', 'cat /file', volume], { stdio: 'pipe' })
    t.equal(cat.toString(), 'kept\n')
    t.match(await guest.console(), '"msg":"the machine ends"')
  })
}
