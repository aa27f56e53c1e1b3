/** Machines that end without a stop: the next one repairs the volume, reports it, and has what was flushed. */

import path from 'node:path'
import t, { type Test } from 'tap'
import { lookAtVolume } from '../../src/volume/look-at-volume.ts'
import { makeVolume } from '../../vm/workspace-volume.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { startGuestd } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { fsck, makeMountPoint } from '../helpers/volume.ts'
import { unavailable } from '../storage/support.ts'
import { mounted, openClient, run, seen } from './ask.ts'
import { bootGuest, type Guest } from './harness.ts'

/** Two boots and their work on a busy host. */
const LONG_MS = 20 * 60_000

t.setTimeout(2 * LONG_MS)

const volume = path.join(makeScratch(t), 'volume')
await makeVolume(volume)

const boot = (t: Test): Promise<Guest> =>
  bootGuest(t, {
    volume,
    // In the background nothing is flushed: what is there after the end is there by a receipt.
    overlay: {
      '/etc/guestd/config.json': JSON.stringify({
        workspace: 'LABEL=guestd-workspace',
        user: 'agent',
        flushEveryMs: 3_600_000,
      }),
    },
  })

/** What the disk itself says of a machine that is gone. */
async function inspect(): Promise<{ readonly mark: unknown; readonly content: unknown }> {
  const { code, out, err } = await guestctl(['volume', 'inspect', volume, '--json'])
  if (code !== 0) throw new Error(err)
  return JSON.parse(out)
}

/** Appends lines and never syncs them. */
const APPEND = `import itertools, os, sys, time
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for n in itertools.count():
  os.write(file, b"%d\\n" % n)
  os.write(1, b"%d\\n" % n)
  time.sleep(0.01)`

/** Files of every size, and the sums of all of them. */
const FILL = `set -e; mkdir "$NAME" && cd "$NAME"
for n in $(seq 200); do seq "$n" >"$n"; done
head -c 8000000 /dev/urandom >large; ln large link; mkdir empty; chmod 640 1
sha256sum -- * 2>/dev/null >../"$NAME.sums" || true
wc -l <../"$NAME.sums"`

/** @returns the last line of the appender that the receipt holds for */
async function workAndFlush(t: Test, guest: Guest, name: string): Promise<number> {
  const client = openClient(t, guest)
  const argv = ['python3', '-c', APPEND, `${name}.lines`]
  const { id } = await client.start({ argv })
  t.equal((await run(client, { command: FILL, env: { NAME: name } })).out, '202\n')
  await seen(client, id, '\n50\n')
  const receipt = await client.flush()
  matchExactly(t, receipt, { clean: true, errors: [], errorsSince: 'mount' })
  await run(client, { command: `echo never flushed >${name}.after` })
  return 50
}

async function checkFlushed(t: Test, guest: Guest, name: string, line: number): Promise<void> {
  const client = openClient(t, guest)
  const check = `cd ${name} && sha256sum --quiet -c ../${name}.sums && stat -c '%a %h' 1 large && ls -d empty`
  const { out, err, exitCode } = await run(client, { command: check })
  t.same({ out, exitCode }, { out: '640 1\n644 2\nempty\n', exitCode: 0 }, err)
  const lines = (await run(client, { command: `cat ${name}.lines` })).out.split('\n')
  t.same(
    lines.slice(0, line + 1),
    Array.from({ length: line + 1 }, (_, n) => String(n)),
    'each line that was reported before the flush',
  )
}

async function checkRecovered(t: Test, guest: Guest, generation: number): Promise<void> {
  const session = await mounted(openClient(t, guest))
  matchExactly(t, session, { generation, resumed: true, recovered: true, lastStop: null })
  t.match(session.recovery.join('\n'), /e2fsck -p: .*recovering journal/)
  t.match(await guest.console(), /the workspace had not been left clean/)
}

let line = 0

t.test('before the first write the disk says that it is in use', async t => {
  const guest = await boot(t)
  const session = await mounted(openClient(t, guest))
  t.match(session, { generation: 1, resumed: false, recovered: false })
  t.equal((await guest.run('echo first >first')).code, 0)
  // guestctl leaves a volume that a machine has alone.
  matchExactly(t, lookAtVolume(volume).mark, { state: 'inUse', generation: 1, receipt: null })
  const native = await startGuestd(t, {
    config: { workspace: volume, workspaceMount: makeMountPoint(t) },
  })
  t.match(
    await unavailable(native),
    /qemu-system-x86.* \(pid \d+\) has its lock$/,
    'guestd on the host leaves it alone, too',
  )
  t.equal(await native.stop(), 0)
  line = await workAndFlush(t, guest, 'killed')
  await guest.kill()
  t.match(await inspect(), { mark: { state: 'inUse', generation: 1 } })
})

t.test('after a kill of the machine all that was flushed is there', async t => {
  const guest = await boot(t)
  await checkRecovered(t, guest, 2)
  await checkFlushed(t, guest, 'killed', line)
  line = await workAndFlush(t, guest, 'panicked')
  // A moment later: the answer of a command that ends the machine never comes.
  const panic = "systemd-run --quiet --on-active=1 bash -c 'echo c >/proc/sysrq-trigger'"
  t.equal((await guest.runAsRoot(panic)).code, 0)
  t.match(await guest.exited, /exit code 0/, 'a kernel that panics ends the machine')
  t.match(await guest.console(), /Kernel panic - not syncing: sysrq triggered crash/)
  t.match(await inspect(), { mark: { state: 'inUse', generation: 2 } })
})

t.test('after a panic of the kernel, too; a stop makes it clean again', async t => {
  const guest = await boot(t)
  await checkRecovered(t, guest, 3)
  await checkFlushed(t, guest, 'killed', line)
  await checkFlushed(t, guest, 'panicked', line)
  t.equal((await guest.guestctl(['stop'])).code, 0)
  await guest.kill()
  const receipt = { clean: true, outcome: 'unmount', generation: 3, errors: [] }
  t.match(await inspect(), { mark: { state: 'clean', generation: 3, receipt } })
  t.equal(fsck(volume).status, 0)
})
