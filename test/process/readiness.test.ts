import { join } from 'node:path'
import t, { type Test } from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { type Guestd, run, startGuestd } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'

/** A small file system at the path, then guestd. */
const MOUNT = 'mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"'
const uid = process.getuid?.() ?? 0
/** Mounting takes root, if only that of a user namespace, in which nobody can take another user. */
const asRoot = uid === 0 ? [] : ['--map-root-user']
const asBefore = uid === 0 ? [] : ['unshare', `--map-user=${uid}`, `--map-group=${uid}`]

t.test('a full runDir is told, and it is ready again once there is room', async t => {
  const { guestd, small } = await startOn(t, 'size=4m')
  t.match(await readiness(guestd), { status: 200, reasons: [] })
  await run(guestd, { command: `dd if=/dev/zero of=${small}/fill bs=4k; true` })
  const reason = new RegExp(`^runDir: ${small}/run is full, 0 bytes are left$`)
  t.match(await readiness(guestd), { status: 503, reasons: [reason] })
  const { out, code } = await guestctl(['status'], { connect: guestd.connect })
  t.equal(code, 0)
  t.match(out, /^State: +not ready\nBecause: +runDir: .* is full/)
  await run(guestd, { command: `rm ${small}/fill` })
  t.match(await readiness(guestd), { status: 200, reasons: [] })
})

t.test('a runDir without inodes is full, too', async t => {
  const { guestd, small } = await startOn(t, 'size=4m,nr_inodes=50')
  t.match(await readiness(guestd), { status: 200 })
  await run(guestd, { command: `for i in {1..60}; do : >${small}/$i; done` })
  t.match(await readiness(guestd), { status: 503, reasons: [/is full, no inodes are left$/] })
})

async function startOn(t: Test, options: string) {
  const small = makeScratch(t)
  const guestd = await startGuestd(t, {
    config: { runDir: join(small, 'run') },
    wrap: ['unshare', ...asRoot, '--mount', 'sh', '-c', MOUNT, 'sh', options, small, ...asBefore],
  })
  return { guestd, small }
}

async function readiness(guestd: Guestd) {
  const { status, json } = await guestd.request('GET', '/readyz')
  return { status, reasons: json().reasons }
}
