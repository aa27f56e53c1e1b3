/** The machine as a Debian: packages, sudo, user namespaces, and guestd's own package from one version to the next. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { makeDisk } from '../../rootfs/tools.ts'
import { makeDeb } from '../../scripts/package/deb.ts'
import { packagedFiles } from '../../scripts/package/inputs.ts'
import { writeTree } from '../../scripts/package/tree.ts'
import { ConnectError } from '../../src/client/index.ts'
import { until } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { asRoot, mountDisk, openClient, run } from './ask.ts'
import { bootGuest } from './harness.ts'
import { type Answer, openConnection, runOnce } from './once.ts'

const NEXT = '9.8.7'
const SERIAL = 'packages'
const DISK_SIZE = '256M'
/** apt takes half a minute where instructions are translated, a busy host many times that. */
const APT_LIMIT_MS = 400_000
const ASK_EVERY_MS = 400
const APT = 'DEBIAN_FRONTEND=noninteractive apt-get -qq -y'

/** Three of apt's runs, and a boot. */
t.setTimeout(25 * 60_000)

const guest = await bootGuest(t, {
  memoryMiB: 2048,
  extraDisks: [{ file: await diskWithPackage(), serial: SERIAL, mode: 'ro' }],
})
t.comment(`guestd answered after ${(guest.bootMs / 1000).toFixed(1)} s`)
const client = openClient(t, guest)

/** A disk with guestd's package in a later version, which all of its files contain. */
async function diskWithPackage(): Promise<string> {
  const scratch = makeScratch(t)
  const tree = path.join(scratch, 'tree')
  const folder = path.join(scratch, 'packages')
  mkdirSync(folder)
  await writeTree(tree, await packagedFiles(NEXT))
  const bundle = path.join(tree, 'usr/lib/guestd/guestd-daemon.cjs')
  writeFileSync(
    bundle,
    readFileSync(bundle, 'utf8').replace(/\bversion="[^"]*"/, `version="${NEXT}"`),
  )
  await makeDeb(tree, path.join(folder, 'guestd.deb'), NEXT, 'quick')
  const disk = path.join(scratch, 'packages.ext4')
  await makeDisk(folder, disk, DISK_SIZE)
  return disk
}

/** In a unit of its own: what is in guestd's ends with it. */
async function beside(script: string): Promise<void> {
  const argv = ['systemd-run', '--quiet', '--collect', 'bash', '-c', script]
  const { exitCode, err } = await run(client, { argv, user: 'root' })
  if (exitCode !== 0) throw new Error(err)
}

t.test('root installs a package without a network, and agent uses it', async t => {
  const make = `mkdir -p /tmp/tiny/DEBIAN /tmp/tiny/usr/bin && cd /tmp
    printf '%s\\n' 'Package: tiny' 'Version: 1' 'Architecture: all' \\
      'Maintainer: nobody <nobody@localhost>' 'Description: tiny' >tiny/DEBIAN/control
    printf '%s\\n' '#!/bin/sh' 'echo small' >tiny/usr/bin/tiny
    chmod 755 tiny/usr/bin/tiny
    dpkg-deb --build tiny tiny.deb
    ${APT} install ./tiny.deb`
  const made = await run(client, { command: make, user: 'root', timeoutMs: APT_LIMIT_MS })
  t.equal(made.exitCode, 0, 'apt installs it')
  t.equal((await run(client, { command: 'tiny' })).out, 'small\n')
})

t.test('agent may use sudo once root has said so', async t => {
  const sudo = { command: 'sudo -n id -u' }
  const refused = await run(client, sudo)
  t.match(refused, { out: '', exitCode: 1 })
  t.match(refused.err, /password is required/)
  await asRoot(
    client,
    `umask 337; echo 'agent ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/agent; visudo -cq`,
  )
  t.match(await run(client, sudo), { out: '0\n', err: '', exitCode: 0 })
  await asRoot(client, 'rm /etc/sudoers.d/agent')
  t.match(await run(client, sudo), { out: '', exitCode: 1 })
})

t.test('agent may be root in a user namespace of its own', async t => {
  const { out, err } = await run(client, { command: 'unshare --user --map-root-user id -u; id -u' })
  t.match({ out, err }, { out: '0\n1000\n', err: '' })
})

t.test('guestd’s package is upgraded under it, and who asks meanwhile is served', async t => {
  await mountDisk(client, SERIAL, '/packages')
  await asRoot(
    client,
    `cd /etc/guestd && sed -i 's/}$/, "env": { "ADMIN": "was here" } }/' config.json`,
  )
  const [before, config] = [
    await client.session(),
    await asRoot(client, 'cat /etc/guestd/config.json'),
  ]
  await run(client, { command: 'echo kept >kept' })
  await beside(`${APT} install /packages/guestd.deb >/run/upgrade.log 2>&1; echo $? >/run/upgrade`)

  const met = { stopping: 0, cut: 0 }
  const odd: object[] = []
  let asked = 0
  const done = async () => {
    await sleep(ASK_EVERY_MS)
    asked += 1
    const id = `meanwhile-${asked}`
    const command = `echo ${id} >>meanwhile; cat /run/upgrade 2>/dev/null; true`
    const { status, exit, stdout } = await askUntilServed({ id, command }, met)
    // A command that runs while guestd is being stopped is stopped too: it is reported, and is no loss.
    const fine = status === 200 && (exit?.cause === 'exit' || exit?.cause === 'stopped')
    if (!fine) odd.push({ id, status, exit })
    return stdout !== ''
  }
  await until(done, APT_LIMIT_MS)
  t.comment(`${asked} requests; ${met.stopping} met a guestd that stops, ${met.cut} were cut`)
  t.same(odd, [])

  t.equal(await asRoot(client, 'cat /run/upgrade'), '0\n')
  t.equal(await asRoot(client, VERSION), `${NEXT}\n`)
  const after = await client.session()
  t.equal(after.version, NEXT)
  t.not(after.startedAt, before.startedAt)
  t.equal(after.bootId, before.bootId)
  t.equal(await asRoot(client, 'cat /etc/guestd/config.json'), config)
  t.equal((await run(client, { command: 'echo $ADMIN; cat kept' })).out, 'was here\nkept\n')
  const ran = (await run(client, { command: 'cat meanwhile' })).out.trim().split('\n')
  t.equal(new Set(ran).size, ran.length, 'none ran twice')
  t.equal(await asRoot(client, 'systemctl --failed -q'), '')
  t.equal(await asRoot(client, 'systemctl show -P NRestarts guestd'), '0\n', 'it did not crash')
})

const VERSION = "dpkg-query --status guestd | sed -n 's/^Version: //p'"

/** A guestd that stops answers so, or cuts connections without a request; a guest without a listener refuses. */
async function askUntilServed(
  body: object,
  met: { stopping: number; cut: number },
): Promise<Answer> {
  for (;;) {
    const answer = await runOnce(guest.connect, body).catch((error: unknown) => {
      if (error instanceof ConnectError) throw error
      return null
    })
    if (answer !== null && answer.status !== 503) return answer
    met[answer === null ? 'cut' : 'stopping'] += 1
    await sleep(ASK_EVERY_MS)
  }
}

/** Facts in lines of the console: guestd no longer answers. */
const LOOK = `
  report() { sed "s/^/fact $1: /" >/dev/console; }
  look() {
    { ls -d /etc/guestd/* /usr/lib/guestd /usr/bin/guest* /run/guestd 2>/dev/null; true; } | report "$1 files"
    systemctl list-unit-files --plain --no-legend "guestd*" | report "$1 units"
    systemctl list-units --state=active,activating,failed --plain --no-legend "guestd*" | report "$1 active"
    find /etc/systemd/system -name "guestd*" | report "$1 links"
    systemctl --failed --plain --no-legend | report "$1 failed"
    ss --vsock -l -H | report "$1 listening"
    ls -l /proc/[0-9]*/exe 2>/dev/null | grep "/usr/lib/guestd" | report "$1 running"
  }`

t.test(
  'once the package is removed nothing of guestd is left but the workspace and its user',
  async t => {
    await beside(`${LOOK}
    for step in remove purge; do
      ${APT} $step guestd >/run/removal 2>&1; echo $? | report "$step code"
      tr "\\r" "\\n" </run/removal | grep guestd | report log
      look $step
    done
    mount -o ro LABEL=guestd-workspace /media && cat /media/kept | report "workspace kept"
    umount /media
    id -un 1000 | report "user"
    systemctl is-system-running | report "state"
    echo | report over`)
    await until(async () => (await guest.console()).includes('fact over:'), APT_LIMIT_MS)
    const console = (await guest.console()).replaceAll('\r', '')
    const facts = (what: string) =>
      [...console.matchAll(new RegExp(`^fact ${what}: (.*)$`, 'gm'))].map(match => match[1])
    for (const line of facts('log')) t.comment(line)
    for (const step of ['remove', 'purge']) {
      t.same(facts(`${step} code`), ['0'])
      t.same(facts(`${step} units`), [], 'no unit file')
      for (const what of ['active', 'failed', 'listening', 'running']) {
        t.same(facts(`${step} ${what}`), [], what)
      }
    }
    const left = ['/etc/guestd/config.json', '/run/guestd']
    t.same(facts('remove files'), left, 'a removal leaves the settings')
    t.same(facts('purge files'), [], 'a purge leaves nothing')
    t.same(facts('purge links'), [])
    t.same(facts('workspace kept'), ['kept'])
    t.same(facts('user'), ['agent'])
    t.same(facts('state'), ['running'])
    await t.rejects(openConnection(guest.connect), { code: 'no_guest_listener' })
  },
)
