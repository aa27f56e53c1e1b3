import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { restoreGuest } from './harness.ts'

const guest = await restoreGuest(t)
t.comment(`guestd answered after ${(guest.bootMs / 1000).toFixed(1)} s`)

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

t.test('a port of the guest without a listener is refused with the reason', async t => {
  const nowhere = guest.connect.replace(/\d+$/, '1022')
  const { code, err } = await guest.guestctl(['run', '--', 'true'], { connect: nowhere })
  t.equal(code, 125)
  t.match(err, /1022/)
})

t.test('the guest’s clock goes as fast as the host’s', async t => {
  const [before, begun] = [await uptimeMs(), performance.now()]
  await sleep(3_000)
  const guestMs = (await uptimeMs()) - before
  const hostMs = performance.now() - begun
  const ratio = guestMs / hostMs
  // Replies from a busy host take their time; a clock that was measured wrongly is ten times off.
  t.ok(ratio > 0.5 && ratio < 2, `${guestMs} ms there, ${hostMs} ms here`)
})

async function uptimeMs(): Promise<number> {
  const { out } = await guest.run('read up idle </proc/uptime; echo $up')
  return Number(out) * 1_000
}
