import t from 'tap'
import { bootGuest } from './harness.ts'

/** From QEMU's start to guestd's answer; a quiet machine of two cores takes 10 to 15 s. */
const BOOT_LIMIT_MS = 60_000

const guest = await bootGuest(t)
t.comment(`guestd answered after ${(guest.bootMs / 1000).toFixed(1)} s`)

t.test('guestd answers soon after the machine is turned on', async t => {
  t.ok(guest.bootMs < BOOT_LIMIT_MS, `${guest.bootMs} ms`)
})

t.test('a command runs in the guest’s kernel, and its streams and exit code come back', async t => {
  const { code, out, err } = await guest.run('uname -n; cat /proc/1/comm; echo apart >&2; exit 7')
  t.equal(out, 'guest\nsystemd\n')
  t.equal(err, 'apart\n')
  t.equal(code, 7)
})

t.test('a command is agent’s, in the workspace, and owns what it makes there', async t => {
  const { out } = await guest.run('id -un; pwd; touch file; stat -c %U file; rm file')
  t.equal(out, 'agent\n/mnt/workspace\nagent\n')
})

t.test('root can be asked for, and nothing that guestd’s boot needs has failed', async t => {
  const { out } = await guest.runAsRoot('systemctl is-system-running --wait; systemctl --failed -q')
  t.equal(out, 'running\n')
})

t.test('commands have the memory, pids and cpu controllers of a unified tree', async t => {
  const { out } = await guest.run(
    'cd /sys/fs/cgroup"$(sed s/^0::// /proc/self/cgroup)" && cat cgroup.controllers',
  )
  const controllers = out.trim().split(' ')
  for (const name of ['cpu', 'memory', 'pids']) t.ok(controllers.includes(name), name)
})

t.test('a port of the guest on which nobody listens is refused with a word about it', async t => {
  const nowhere = guest.connect.replace(/\d+$/, '1022')
  const { code, err } = await guest.guestctl(['run', '--', 'true'], { connect: nowhere })
  t.equal(code, 125)
  t.match(err, /1022/)
})
