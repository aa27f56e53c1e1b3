/** What root leaves on the workspace in a guest, where systemd shares all mounts: the stop takes it away, and nothing else. */
import t from 'tap'
import { until } from '../helpers/guestd.ts'
import { asRoot, mounted, openClient } from './ask.ts'
import { restoreGuest } from './harness.ts'

/** A guest that is busy, on a host that is busy, still gets there. */
const SETTLE_LIMIT_MS = 60_000

const LEAVE = `set -e
cd /mnt/workspace
echo kept >file
mkdir t r
mount -t tmpfs left t
mount --bind /dev r
mount --bind /run t
head -c 8M /dev/zero >swap; chmod 600 swap; mkswap swap; swapon swap
mkdir -p /opt/bound; mount --bind /mnt/workspace /opt/bound`

const MOUNTS = "findmnt -rno TARGET,FSTYPE | grep -v '^/mnt/workspace\\|^/opt/bound' | sort"

t.test('mounts below it, a swap file and a mount elsewhere keep no stop', async t => {
  const guest = await restoreGuest(t)
  const client = openClient(t, guest)
  const before = await asRoot(client, MOUNTS)
  await asRoot(client, LEAVE)
  t.match(await asRoot(client, 'cat /proc/swaps'), '/mnt/workspace/swap')
  const { code, out } = await guest.guestctl(['stop', '--json'])
  t.equal(code, 0, out)
  const { outcome, clean, heldBy, errors } = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '')
  t.same(
    { outcome, clean, heldBy, errors },
    { outcome: 'unmount', clean: true, heldBy: null, errors: [] },
  )

  t.equal((await guest.guestctl(['start'])).code, 0)
  t.match(await mounted(client), { recovered: false, resumed: true })
  t.equal(await asRoot(client, 'cat /mnt/workspace/file'), 'kept\n')
  t.equal(await asRoot(client, MOUNTS), before)
  t.notMatch(await asRoot(client, 'cat /proc/swaps'), 'workspace')
})

t.test(
  'root that grows the file system over the mark is reported, and no stop is clean',
  async t => {
    const guest = await restoreGuest(t)
    const client = openClient(t, guest)
    await asRoot(client, 'resize2fs /dev/vdb 2>&1')
    const resized = /its file system was resized while it was in use, from \d+ to \d+ bytes/
    await until(
      async () => resized.test((await client.session()).workspace.reason ?? ''),
      SETTLE_LIMIT_MS,
    )
    t.equal((await client.health()).ready, false)
    const { code, out } = await guest.guestctl(['stop', '--json'])
    t.equal(code, 125)
    const { clean, errors } = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '')
    t.equal(clean, false)
    t.match(errors.join('\n'), resized)
    t.match(errors.join('\n'), /^mark: resize: .* \(ESTALE\)$/m)
  },
)
