import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { buildPackage } from '../../scripts/dist.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { createDebianRoot } from './debian-root.ts'

const INSTALL = 'apt-get install --yes /root'
const ENABLED = 'systemctl is-enabled guestd.socket guestd.service || true'
/** Each of what a purge may leave is named here. */
const LEFT = "find / -xdev -name '*guestd*' -not -path '/root/*' -not -path '/proc/*'"

const { deb, version } = await buildPackage()

/** The same package with a higher version. */
async function upgradeOf(folder: string): Promise<string> {
  const tree = join(folder, 'tree')
  const file = join(folder, 'upgrade.deb')
  await execa('dpkg-deb', ['--raw-extract', deb, tree])
  await execa('sed', ['-i', `s/^Version: .*/Version: ${version}+1/`, join(tree, 'DEBIAN/control')])
  await execa('dpkg-deb', ['--build', '--root-owner-group', '-Znone', tree, file])
  return file
}

t.test('the package lives in a Debian without a network', async t => {
  const debian = await createDebianRoot(t)
  await debian.give(deb)
  await debian.give(await upgradeOf(makeScratch(t)))

  await t.test('it installs, complete and enabled', async t => {
    await debian.run(`${INSTALL}/guestd.deb`)
    t.equal(await debian.run(ENABLED), 'enabled\nenabled')
    t.equal(await debian.run('dpkg --audit; dpkg --verify; apt-get check --quiet=2'), '')
    t.equal(
      await debian.run('getent passwd agent; stat --format="%U %G %a %F" /mnt/workspace'),
      'agent:x:1000:1000:runs the commands of guestd:/home/agent:/bin/bash\n' +
        'agent agent 755 directory',
    )
    t.equal(await debian.run('systemd-analyze verify guestd.socket guestd.service 2>&1'), '')
  })

  await t.test('its guestd serves, and runs a command of its guestctl as agent', async t => {
    const script = `export GUESTCTL_CONNECT=unix:/run/api.sock
      guestd --listen $GUESTCTL_CONNECT --workspace /mnt/workspace >/run/log & daemon=$!
      until grep --quiet '"msg":"serving"' /run/log; do
        kill -0 $daemon || exit 99
        sleep 0.05
      done
      guestctl run -- 'whoami; pwd; cat; exit 7' </dev/null; echo $?
      kill $daemon; wait $daemon; echo $?`
    t.equal(await debian.run(script), 'agent\n/mnt/workspace\n7\n0')
    t.equal(await debian.run('guestd --version; guestctl --version'), both(version))
    const settings = JSON.parse(await debian.run('guestd --check'))
    matchExactly(t, settings, { workspace: '/mnt/workspace', user: 'agent', listen: [] })
  })

  await t.test('an upgrade keeps what the administrator has set', async t => {
    const settings = '{ "user": "agent", "maxCommands": 7 }'
    await debian.run(`echo '${settings}' >/etc/guestd/config.json
      echo kept >/mnt/workspace/file
      systemctl disable --quiet guestd.service
      ${INSTALL}/upgrade.deb`)
    t.equal(await debian.run('dpkg-query --show guestd | cut -f 2'), `${version}+1`)
    t.equal(await debian.run(ENABLED), 'enabled\ndisabled')
    t.equal(await debian.run('cat /etc/guestd/config.json'), settings)
    await debian.run('systemctl enable --quiet guestd.service')
  })

  await t.test(
    'a removal leaves the settings, a purge only the user and the workspace',
    async t => {
      await debian.run('apt-get remove --yes guestd')
      t.equal(await debian.run('ls /etc/guestd'), 'config.json')
      t.equal(await debian.run('ls /usr/lib/guestd /usr/bin/guest* 2>/dev/null || true'), '')
      await debian.run(`${INSTALL}/guestd.deb`)
      t.equal(await debian.run(ENABLED), 'enabled\nenabled')
      t.match(await debian.run('cat /etc/guestd/config.json'), 'maxCommands')
      await debian.run('apt-get purge --yes guestd')
      t.equal(await debian.run(LEFT), '')
      t.equal(await debian.run('id -un 1000; cat /mnt/workspace/file'), 'agent\nkept')
    },
  )

  await t.test('where systemd runs, an upgrade leaves the socket open', async t => {
    // No systemd runs in this root: the calls to it are recorded. Not through apt-get,
    // which gives dpkg a PATH of its own.
    const noted = async (script: string) =>
      debian.run(`mkdir -p /run/systemd/system /run/bin
        for name in systemctl deb-systemd-invoke; do
          printf '#!/bin/sh\\necho "\${0##*/} $*" >>/run/calls\\n' >/run/bin/$name
          chmod 755 /run/bin/$name
        done
        PATH=/run/bin:$PATH
        ${script} >/dev/null
        grep ^deb-systemd-invoke /run/calls`)
    t.equal(
      await noted('dpkg --install /root/guestd.deb'),
      'deb-systemd-invoke start guestd.socket\ndeb-systemd-invoke start guestd.service',
    )
    t.equal(
      await noted('dpkg --install /root/upgrade.deb'),
      'deb-systemd-invoke start guestd.socket\ndeb-systemd-invoke restart guestd.service',
    )
    t.equal(
      await noted('dpkg --purge guestd'),
      'deb-systemd-invoke stop guestd.socket guestd.service',
    )
  })

  await t.test('a uid that is taken, and a user that is there, are left as they are', async t => {
    await debian.run(`userdel --remove agent 2>/dev/null; useradd --uid 1000 somebody
      ${INSTALL}/guestd.deb`)
    const agent = await debian.run('id -u agent; id -un 1000; stat --format=%U ~agent')
    t.match(agent, /^(?!1000$)\d+\nsomebody\nagent$/)
    const purge = 'apt-get purge --yes guestd'
    await debian.run(`${purge}; usermod --shell /bin/sh agent; ${INSTALL}/guestd.deb`)
    t.match(await debian.run('getent passwd agent'), /:\/bin\/sh$/)
  })

  await t.test('settings that name another user get none made', async t => {
    await debian.run(`apt-get purge --yes guestd; userdel agent
      mkdir /etc/guestd; echo '{ "user": "somebody" }' >/etc/guestd/config.json
      ${INSTALL}/guestd.deb --option Dpkg::Options::=--force-confold`)
    const { code } = await debian.attempt('getent passwd agent')
    t.equal(code, 2)
  })
})

const both = (version: string) => `guestd ${version}\nguestctl ${version}`
