/** Machines with a network card, and one without. */

import t, { type Test } from 'tap'
import type { GuestdClient } from '../../src/client/index.ts'
import type { VmOptions } from '../../vm/vm.ts'
import { asRoot, openClient } from './ask.ts'
import { bootGuest, restoreGuest } from './harness.ts'

/** QEMU's own network: its DHCP server gives this to the first that asks, and, cut off, no router. */
const LEASED = '10.0.2.15'
const STATIC = '10.0.2.77'
const [GATEWAY, NAMESERVER] = ['10.0.2.2', '10.0.2.3']
/** ip=CLIENT:SERVER:GATEWAY:NETMASK:HOSTNAME:DEVICE:AUTOCONF:DNS, as the kernel's nfsroot.rst has it. */
const STATIC_ARG = `ip=${STATIC}::${GATEWAY}:255.255.255.0::eth0:off:${NAMESERVER}`
/** A lease comes within a second; the machine may be slow. */
const WAIT = 'for i in {1..600}; do'
const NETWORK_UNITS = ['systemd-networkd', 'systemd-resolved', 'systemd-network-generator', 'dbus']

/** All boots on a busy host. */
t.setTimeout(20 * 60_000)

async function boot(t: Test, options: VmOptions): Promise<GuestdClient> {
  const guest = await bootGuest(t, options)
  t.comment(`guestd answered after ${(guest.bootMs / 1000).toFixed(1)} s`)
  return openClient(t, guest)
}

/** Waits until networkd is done with the card, and gives its addresses of IPv4. */
async function addressesOf(client: GuestdClient): Promise<string[]> {
  const script = `
    ${WAIT} networkctl status eth0 | grep -q 'State:.*(configured)' && break; sleep 0.1; done
    ip -4 -o address show dev eth0 | sed -E 's/.* inet ([^ ]+) .*/\\1/'`
  return (await asRoot(client, script)).trim().split('\n')
}

const routes = (client: GuestdClient) => asRoot(client, 'ip -4 route')

/** The names of this machine, which are asked for nowhere else: systemd-resolved.service(8). */
async function testResolver(t: Test, client: GuestdClient): Promise<void> {
  const ask = `
    ${WAIT} systemctl -q is-active systemd-resolved && break; sleep 0.1; done
    readlink /etc/resolv.conf
    grep ^nameserver /etc/resolv.conf
    getent ahostsv4 some.localhost | head -n 1`
  const answer = await asRoot(client, ask)
  t.match(answer, /stub-resolv\.conf\nnameserver 127\.0\.0\.53\n127\.0\.0\.1 /)
}

async function testNothingFailed(t: Test, client: GuestdClient): Promise<void> {
  const ask = 'systemctl is-system-running --wait; systemctl --failed --no-legend --plain'
  t.equal(await asRoot(client, ask), 'running\n')
  const errors = await asRoot(client, `journalctl -p err -o cat --no-pager ${UNITS}`)
  t.notMatch(errors, /\S/, 'nor has one of its units anything to complain of')
}

const UNITS = NETWORK_UNITS.map(unit => `-u ${unit}`).join(' ')

t.test('a card gets its address from a DHCP server', async t => {
  const client = await boot(t, { network: true })
  t.same(await addressesOf(client), [`${LEASED}/24`])
  t.match(await routes(client), new RegExp(`^10\\.0\\.2\\.0/24 dev eth0 .* src ${LEASED} `, 'm'))
  await testResolver(t, client)
  await testNothingFailed(t, client)
})

t.test(
  'a card has the address of the kernel’s command line, and no DHCP server is asked',
  async t => {
    const client = await boot(t, { network: true, kernelArgs: [STATIC_ARG] })
    t.same(await addressesOf(client), [`${STATIC}/24`])
    t.match(await routes(client), new RegExp(`^default via ${GATEWAY} dev eth0 `, 'm'))
    t.notMatch(await asRoot(client, 'networkctl status eth0'), /DHCP4/)
    t.equal(await asRoot(client, 'ls /run/systemd/netif/leases'), '')
    t.match(await asRoot(client, 'resolvectl dns eth0'), new RegExp(`: ${NAMESERVER}\\s`))
    await testResolver(t, client)
    await testNothingFailed(t, client)
  },
)

t.test('without a card nothing of the network runs', async t => {
  const client = openClient(t, await restoreGuest(t))
  t.equal(await asRoot(client, 'ls /sys/class/net'), 'lo\n')
  await testNothingFailed(t, client)
  const states = await asRoot(client, `systemctl is-active ${NETWORK_UNITS.join(' ')} || true`)
  t.same(
    states.trim().split('\n'),
    NETWORK_UNITS.map(() => 'inactive'),
  )
  t.equal(
    await asRoot(client, 'ps -C systemd-network,systemd-resolve,dbus-daemon -o args= || true'),
    '',
  )
})
