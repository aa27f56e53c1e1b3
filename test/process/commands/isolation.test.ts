import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { constants, userInfo } from 'node:os'
import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { run, startGuestd, until } from '../../helpers/guestd.ts'
import { fieldOf, statusField } from '../../helpers/processes.ts'

/**
 * guestd itself starts in a state that no command may inherit: another umask, a secret in its
 * environment, an open descriptor without close-on-exec. Node adds an ignored SIGPIPE.
 */
const UNTIDY = ['sh', '-c', 'umask 077; exec 9</etc/passwd; exec "$@"', 'sh']
const guestd = await startGuestd(t, { wrap: UNTIDY, env: { SECRET: 'guestd-only', LANG: 'C' } })

/** As the tools of the system print it. */
const getent = (user: string | number) =>
  execFileSync('getent', ['passwd', String(user)], { encoding: 'utf8' })
    .trim()
    .split(':')
const groupsOf = (user: string) => execFileSync('id', ['-G', user], { encoding: 'utf8' }).trim()

/** A user with supplementary groups, where this machine has one. */
const memberOfGroups =
  readFileSync('/etc/group', 'utf8')
    .split('\n')
    .map(line => line.split(':')[3] ?? '')
    .find(members => members !== '')
    ?.split(',')[0] ?? 'nobody'

t.test('nothing that a command changes reaches the next one', async t => {
  const probe = [
    `pwd; echo "leak=\${LEAK-unset}"; umask; ulimit -Sn; ulimit -Ss; ulimit -Sf; ulimit -Su`,
    'shopt -qo errexit && echo errexit; type leaked 2>/dev/null; echo "$-"',
  ].join('; ')
  const before = await run(guestd, { command: probe })
  const changes = [
    'cd /; export LEAK=1; umask 077; ulimit -n 64; ulimit -s 1024; ulimit -f 10; ulimit -u 5000',
    'trap "" TERM PIPE; leaked() { :; }; export -f leaked; exec 7>&1; set -e',
  ].join('; ')
  const changed = await run(guestd, { command: `${changes}; ${probe}` })
  t.not(changed.stdout, before.stdout, 'the probe sees such changes')
  const after = await run(guestd, { command: probe })
  t.equal(after.stdout, before.stdout)
  t.equal(after.stdout.split('\n')[0], guestd.workspace)
})

t.test('the umask is 022, whatever that of guestd is', async t => {
  t.equal(statusField(guestd.pid, 'Umask'), '0077')
  const { stdout } = await run(guestd, { command: 'umask; : > made; stat -c %a made' })
  t.equal(stdout, '0022\n644\n')
})

t.test('limits are those of guestd, but for the soft limit of open files', async t => {
  const limitsOf = (text: string) => text.split('\n').filter(line => !line.includes('open files'))
  const nofile = (text: string) => / open files +(\d+) +(\d+)/.exec(text)?.slice(1).map(Number)
  const own = readFileSync(`/proc/${guestd.pid}/limits`, 'utf8')
  const { stdout } = await run(guestd, { argv: ['cat', '/proc/self/limits'] })
  t.same(limitsOf(stdout), limitsOf(own))
  const hard = nofile(own)?.[1] ?? 0
  t.same(nofile(own), [hard, hard], 'Node raises its own soft limit')
  t.same(nofile(stdout), [Math.min(1024, hard), hard])
})

t.test('no signal is ignored, blocked, caught or pending', async t => {
  const ignored = BigInt(`0x${statusField(guestd.pid, 'SigIgn')}`)
  const sigpipe = 1n << BigInt(constants.signals.SIGPIPE - 1)
  t.not(ignored & sigpipe, 0n, 'guestd itself ignores SIGPIPE')
  const { stdout } = await run(guestd, { argv: ['cat', '/proc/self/status'] })
  for (const name of ['SigIgn', 'SigBlk', 'SigCgt', 'SigPnd', 'ShdPnd'])
    t.equal(fieldOf(stdout, name), '0000000000000000', name)
})

t.test('a writer without a reader ends of SIGPIPE, as in a login shell', async t => {
  const { stdout, exit } = await run(guestd, {
    command: `yes | head -1; echo "\${PIPESTATUS[@]}"`,
    timeoutMs: 10_000,
  })
  t.equal(stdout, 'y\n141 0\n')
  t.equal(exit.exitCode, 0)
})

t.test(
  'a command has descriptors 0, 1 and 2 only, however many others guestd has open',
  async t => {
    // Pipes of others are open meanwhile: launches must not inherit from each other.
    const others = await Promise.all(
      Array.from({ length: 8 }, () => openRun(guestd, { argv: ['sleep', '60'], stdin: 'open' })),
    )
    t.teardown(() => {
      for (const other of others) other.cut()
    })
    t.equal(readlinkSync(`/proc/${guestd.pid}/fd/9`), '/etc/passwd', 'guestd has one to leak')
    const stream = await openRun(guestd, { argv: ['sleep', '60'] })
    const start = await stream.next()
    const folder = `/proc/${start?.pid}/fd`
    // The dynamic linker of `sleep` may have a file open for a moment.
    await until(() => readdirSync(folder).length <= 3)
    t.same(readdirSync(folder).sort(), ['0', '1', '2'])
    const target = (fd: number) => readlinkSync(`${folder}/${fd}`)
    t.equal(target(0), '/dev/null')
    t.match(target(1), /^pipe:/)
    t.match(target(2), /^pipe:/)
    t.not(target(1), target(2))
    stream.cut()
  },
)

t.test('the environment is exactly that of a login and of the request', async t => {
  const { stdout } = await run(guestd, { argv: ['env'], env: { EXTRA: 'a b=c\nd', EMPTY: '' } })
  const [, , , , , home, shell] = getent(userInfo().username)
  t.same(
    new Set(stdout.trimEnd().replace('\nd', ' d').split('\n')),
    new Set([
      `HOME=${home}`,
      `USER=${userInfo().username}`,
      `LOGNAME=${userInfo().username}`,
      `SHELL=${shell}`,
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'LANG=C.UTF-8',
      'EXTRA=a b=c d',
      'EMPTY=',
    ]),
  )
  t.match(readFileSync(`/proc/${guestd.pid}/environ`, 'utf8'), 'SECRET=guestd-only')
})

t.test('a request may set what a login sets', async t => {
  const { stdout } = await run(guestd, {
    command: 'echo "$HOME $USER $LANG"',
    env: { HOME: '/elsewhere', LANG: 'C' },
  })
  t.equal(stdout, `/elsewhere ${userInfo().username} C\n`)
})

t.test('a command leads a session and a process group of its own, without a terminal', async t => {
  const script = [
    'read -r pid _ _ _ pgrp session tty _ < <(sed "s/(.*)/x/" /proc/$$/stat)',
    'echo "$((pid == pgrp)) $((pid == session)) $tty"',
    'if (: < /dev/tty) 2>/dev/null; then echo terminal; fi',
  ].join('\n')
  const { stdout } = await run(guestd, { command: script })
  t.equal(stdout, '1 1 0\n')
  const own = await run(guestd, { argv: ['cat', '/proc/self/stat'] })
  const pid = Number(own.stdout.split(' ')[0])
  t.not(pid, guestd.pid)
  t.equal(own.frames[0]?.pid, pid, 'the start frame names the command itself')
})

t.test('standard input is /dev/null', async t => {
  const { stdout, exit } = await run(guestd, { command: 'readlink /proc/self/fd/0; wc -c' })
  t.equal(stdout, '/dev/null\n0\n')
  t.equal(exit.exitCode, 0)
})

for (const user of new Set(['root', 'nobody', memberOfGroups])) {
  t.test(`a command as ${user} is that user in all that counts`, async t => {
    const [, , uid = '', gid = '', , home, shell] = getent(user)
    const script = [
      'echo "$HOME|$USER|$LOGNAME|$SHELL|$PATH"',
      'id -u; id -g; id -G; id -un',
      'grep -E "^(Uid|Gid|CapEff|CapAmb|NoNewPrivs):" /proc/self/status',
      'echo "secret=$SECRET"',
    ].join('\n')
    const outcome = await run(guestd, { command: script, user, cwd: '/' })
    const [login, ...lines] = outcome.stdout.split('\n')
    const path =
      user === 'root'
        ? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
        : `${home}/.local/bin:${home}/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games`
    t.equal(login, [home, user, user, shell, path].join('|'))
    const [first = '', ...others] = (lines[2] ?? '').split(' ')
    t.same([lines[0], lines[1], first], [uid, gid, gid])
    t.same(new Set([first, ...others]), new Set(groupsOf(user).split(' ')))
    t.equal(lines[3], user)
    t.equal(fieldOf(outcome.stdout, 'Uid'), [uid, uid, uid, uid].join('\t'))
    t.equal(fieldOf(outcome.stdout, 'Gid'), [gid, gid, gid, gid].join('\t'))
    t.equal(fieldOf(outcome.stdout, 'CapEff') === '0000000000000000', user !== 'root')
    t.match(outcome.stdout, 'secret=\n')
    t.equal(outcome.frames[0]?.user, user)
    t.equal(outcome.frames[0]?.cwd, '/')

    const byNumber = await run(guestd, { argv: ['id', '-un'], user: Number(uid), cwd: '/' })
    t.equal(byNumber.stdout, `${user}\n`)
    const byDigits = await run(guestd, { argv: ['id', '-un'], user: uid, cwd: '/' })
    t.equal(byDigits.stdout, `${user}\n`)
  })
}

t.test('under memory pressure a command goes before guestd', async t => {
  const own = Number(readFileSync(`/proc/${guestd.pid}/oom_score_adj`, 'utf8'))
  for (const user of ['root', 'nobody']) {
    const { stdout } = await run(guestd, {
      argv: ['cat', '/proc/self/oom_score_adj'],
      user,
      cwd: '/',
    })
    t.ok(Number(stdout) > own, `${user}: ${stdout.trim()} > ${own}`)
  }
})
