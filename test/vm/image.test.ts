/** What a machine is that has booted the image, and what its commands can do to it. */

import t from 'tap'
import { until } from '../helpers/guestd.ts'
import { asRoot, guestdPid, mounted, openClient, run } from './ask.ts'
import { restoreGuest } from './harness.ts'

/** systemd waits 100 ms, but Node's start takes seconds where instructions are translated. */
const RESTART_LIMIT_MS = 120_000

const guest = await restoreGuest(t)
t.comment(`guestd answered after ${(guest.bootMs / 1000).toFixed(1)} s`)
const client = openClient(t, guest)
await mounted(client)

t.test('guestd is ready, with the workspace on its volume, writable by agent', async t => {
  t.match(await client.health(), { alive: true, ready: true })
  const { out } = await run(client, {
    command: 'findmnt -n -o SOURCE,FSTYPE .; stat -c %U .; echo x >file && cat file && rm file',
  })
  t.equal(out.replaceAll(/ +/g, ' '), '/dev/vdb ext4\nagent\nx\n')
})

t.test(
  'nothing else that is writable survives: other disks are read-only, the rest is memory',
  async t => {
    const disks = await asRoot(client, 'cat /sys/block/vd*/ro')
    t.equal(disks, '1\n0\n', 'the root disk, the workspace')
    const types = await asRoot(client, 'findmnt -n -l -o FSTYPE,OPTIONS')
    const writable = types.split('\n').filter(line => / rw\b/.test(line))
    const kinds = new Set(writable.map(line => line.split(' ')[0]))
    const memory = ['overlay', 'tmpfs', 'devtmpfs', 'proc', 'sysfs', 'devpts', 'cgroup2', 'mqueue']
    const kernel = ['bpf', 'pstore', 'securityfs', 'hugetlbfs', 'tracefs', 'debugfs', 'ramfs']
    for (const known of [...memory, ...kernel, 'ext4']) kinds.delete(known)
    t.same([...kinds], [])
    t.equal(writable.filter(line => line.startsWith('ext4')).length, 1, 'the workspace alone')
    t.match(await asRoot(client, 'findmnt -n -o OPTIONS /'), /upperdir=\/upper\/data/)
  },
)

t.test('no unit has failed, and no ssh, login or timer waits', async t => {
  const state = 'systemctl is-system-running --wait; systemctl --failed --quiet'
  t.equal(await asRoot(client, state), 'running\n')
  const units = await asRoot(
    client,
    'systemctl list-units --all --plain --no-legend --state=active',
  )
  const names = units.split('\n').map(line => line.split(' ')[0] ?? '')
  t.ok(names.includes('guestd.service'))
  t.same(
    names.filter(name =>
      /ssh|getty|login|\.timer$|networkd\.service|resolved|dbus\.service/.test(name),
    ),
    [],
  )
})

t.test('systemd finds nothing wrong with guestd’s units', async t => {
  const verify = 'systemd-analyze verify --man=no guestd.service guestd.socket 2>&1'
  t.equal(await asRoot(client, verify), '')
})

t.test(
  'git is durable, certificates are there, and the machine has an id of this boot',
  async t => {
    const { out } = await run(client, {
      command: `git config --system core.fsync
      test -s /etc/ssl/certs/ca-certificates.crt && echo certificates
      findmnt -n -o FSTYPE -T /etc/machine-id; wc -c </etc/machine-id`,
    })
    t.equal(out, 'all\ncertificates\noverlay\n33\n')
  },
)

t.test('root’s git works in the repositories of agent', async t => {
  const made = await run(client, { command: 'git init -q -b main repo && touch repo/new' })
  t.equal(made.exitCode, 0, made.err)
  t.equal(await asRoot(client, 'git -C /mnt/workspace/repo status --short'), '?? new\n')
  t.equal(await asRoot(client, 'stat -c %a /root'), '700\n')
  await run(client, { command: 'rm -r repo' })
})

t.test('agent runs what it has put into its own bin folders, as after a login', async t => {
  const install = `mkdir -p ~/.local/bin ~/bin
    for folder in ~/.local/bin ~/bin; do
      printf '#!/bin/sh\\necho %s\\n' $folder >$folder/mine; chmod +x $folder/mine
    done`
  await run(client, { command: install })
  t.equal((await run(client, { argv: ['mine'] })).out, '/home/agent/.local/bin\n')
  t.equal((await run(client, { command: 'rm ~/.local/bin/mine; mine' })).out, '/home/agent/bin\n')
  t.not((await run(client, { command: 'mine', user: 'root' })).exitCode, 0, 'root does not')
})

t.test('caches of agent’s tools are in the workspace, and git does not list them', async t => {
  const { out } = await run(client, {
    command: `cat ~/.npmrc ~/.config/pip/pip.conf | grep ^cache
      git init -q && mkdir -p .cache/npm .cache/pip .cache/other && touch .cache/{npm,pip,other}/file
      git status --short --untracked-files=all; rm -r .git .cache; stat -c '%U %n' ~/.npmrc`,
  })
  const caches = 'cache=/mnt/workspace/.cache/npm\ncache-dir = /mnt/workspace/.cache/pip\n'
  t.equal(out, `${caches}?? .cache/other/file\nagent /home/agent/.npmrc\n`)
})

t.test('a change to the root is seen, and is in memory', async t => {
  await asRoot(client, 'echo changed >/etc/motd; useradd somebody')
  t.equal(
    (await run(client, { command: 'cat /etc/motd; id -un somebody' })).out,
    'changed\nsomebody\n',
  )
})

t.test('agent cannot reach guestd, its state, its journal, its port or the disks', async t => {
  const pid = await guestdPid(client)
  const cgroup = '/sys/fs/cgroup/guestd.service'
  await asRoot(client, `test -d ${cgroup} && test -d /run/guestd`)
  const refused: Record<string, string> = {
    signal: `kill -0 ${pid}`,
    'its memory': `exec 3</proc/${pid}/mem`,
    'its environment': `cat /proc/${pid}/environ`,
    'its descriptors': `ls /proc/${pid}/fd/`,
    trace: `python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(16, ${pid}, 0, 0) and 1)'`,
    'its cgroup': `echo 1 >${cgroup}/cgroup.freeze`,
    'moving itself there': `echo $$ >${cgroup}/cgroup.procs`,
    'its state': 'ls /run/guestd',
    'its journal': 'cat /run/guestd/journal*',
    'the system journal': 'cat /run/log/journal/*/system.journal',
    'the workspace’s disk': 'head -c 1 /dev/vdb',
    'the root’s disk': 'head -c 1 /dev/vda',
    memory: 'head -c 1 /dev/mem',
    'a mount': 'mount -t tmpfs none /mnt/workspace',
    'an unmount': 'umount /mnt/workspace',
    'a remount': 'mount -o remount,ro /mnt/workspace',
    'its unit': 'systemctl stop guestd.service',
    'its settings': 'echo {} >/etc/guestd/config.json',
    'its program': 'echo >>/usr/lib/guestd/guestd.js',
    'its compiled code': 'echo >>/usr/lib/guestd/guestd-daemon.cache',
    'the kernel’s settings': 'echo 1 >/proc/sys/kernel/sysrq',
    power: 'systemctl poweroff',
  }
  for (const [what, command] of Object.entries(refused)) {
    const { exitCode, out } = await run(client, { command })
    t.not(exitCode, 0, what)
    t.equal(out, '', what)
  }
  t.equal(await guestdPid(client), pid, 'guestd is the same')
  t.match(await client.health(), { ready: true })
})

t.test('agent cannot take the port, also while guestd is away', async t => {
  const bind = `python3 -c 'import socket
try:
  socket.socket(socket.AF_VSOCK).bind((0xffffffff, 1023))
  print("bound")
except OSError as error:
  print(type(error).__name__)'`
  t.equal((await run(client, { command: bind })).out, 'PermissionError\n')
  const script = `for i in $(seq 80); do ${bind}; sleep 0.05; done >/tmp/tries; touch /tmp/done`
  // In a unit of its own, beside guestd's commands, which end with guestd.
  const { startedAt } = await client.session()
  await client.start({
    command: `printf %s "$SCRIPT" >/run/tries.sh
      systemd-run --quiet --uid=agent bash /run/tries.sh
      systemd-run --quiet systemctl restart guestd.service`,
    env: { SCRIPT: script },
    user: 'root',
  })
  await until(async () => {
    const session = await client.session().catch(() => null)
    return session !== null && session.startedAt !== startedAt
  }, RESTART_LIMIT_MS)
  await mounted(client)
  const { out } = await run(client, {
    command: 'until test -e /tmp/done; do sleep 0.2; done; sort -u /tmp/tries; wc -l </tmp/tries',
  })
  t.equal(out, 'PermissionError\n80\n')
})

t.test('what a user namespace can mount counts in it alone', async t => {
  const inside =
    'mount -t tmpfs none /mnt/workspace && touch /mnt/workspace/inside && ls /mnt/workspace'
  const { out } = await run(client, {
    command: `unshare --user --map-root-user --mount sh -c '${inside}'; ls /mnt/workspace | grep inside`,
  })
  t.equal(out, 'inside\n')
  const { exitCode } = await run(client, {
    command: "unshare --user --map-root-user --mount sh -c 'umount /mnt/workspace'",
  })
  t.not(exitCode, 0, 'a mount that came along is locked: mount_namespaces(7)')
})
