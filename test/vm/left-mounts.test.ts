/** What root leaves on the workspace in a guest, where systemd shares all mounts: the stop takes it away, and nothing else. */
import t from 'tap'
import { asRoot, mounted, openClient } from './ask.ts'
import { restoreGuest } from './harness.ts'

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
