/** The same image in a machine such as Firecracker makes: virtio over MMIO, found by ACPI, no PCI. */

import t from 'tap'
import { asRoot, openClient, run } from './ask.ts'
import { bootGuest } from './harness.ts'

const guest = await bootGuest(t, { transport: 'mmio', network: true })
t.comment(`guestd answered after ${(guest.bootMs / 1000).toFixed(1)} s`)
const client = openClient(t, guest)

t.test('guestd is ready, with the workspace on its volume, and nothing has failed', async t => {
  t.match(await client.health(), { alive: true, ready: true })
  t.equal((await run(client, { command: 'findmnt -n -o SOURCE .' })).out, '/dev/vdb\n')
  const state = 'systemctl is-system-running --wait; systemctl --failed --quiet'
  t.equal(await asRoot(client, state), 'running\n')
})

t.test('all of its devices are on MMIO, and it has no PCI bus', async t => {
  const { out } = await run(client, {
    command:
      'readlink -f /sys/block/vda /sys/block/vdb /sys/class/net/eth0; ls /sys/bus/pci/devices',
  })
  const paths = out.trim().split('\n')
  t.equal(paths.length, 3)
  // The ACPI id of a virtio device on MMIO.
  for (const one of paths) t.match(one, /LNRO0005/)
})
