/** How guestctl is started by shells, by nohup and by programs: its descriptors, signals and arguments. */

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { startGuestd, until } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'

const GUESTCTL = join(import.meta.dirname, '../../dist/guestctl.js')

const guestd = await startGuestd(t)
const { connect } = guestd
const run = (...args: string[]) => guestctl(['run', ...args], { connect })

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

async function endOf(child: ChildProcess): Promise<Ended> {
  const texts = { out: '', err: '' }
  child.stdout?.setEncoding('utf8').on('data', text => {
    texts.out += text
  })
  child.stderr?.setEncoding('utf8').on('data', text => {
    texts.err += text
  })
  const code = await new Promise<number | null>(resolve => child.once('close', resolve))
  return { code, ...texts }
}

/** As bash starts it: `$0` is the program, and every byte of the script reaches it as it is. */
function shell(script: string | Buffer, env: Readonly<Record<string, string>> = {}) {
  const file = join(makeScratch(t), 'script')
  writeFileSync(file, script)
  return spawn('bash', [file], {
    env: {
      PATH: process.env.PATH,
      GUESTCTL_CONNECT: connect,
      ctl: `${process.execPath} ${GUESTCTL}`,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

t.test('a standard input that cannot be read is an end of it, and said', async t => {
  for (const [name, script, error] of [
    ['open for writing only', '$ctl run -i -- "cat; echo read" 0>/dev/null', 'EBADF'],
    ['a directory', '$ctl run -i -- "cat; echo read" </tmp', 'EISDIR'],
  ] as const) {
    const { code, out, err } = await endOf(shell(script))
    t.equal(code, 0, name)
    t.equal(out, 'read\n', name)
    t.match(err, /^guestctl: standard input: it cannot be read: /, name)
    t.match(err, error, name)
  }
  const closed = await endOf(shell('$ctl run -i -- "cat; echo read" <&-'))
  t.same(closed, { code: 0, out: 'read\n', err: '' }, 'closed: Node opens /dev/null in its place')
})

/** A job in the background of a terminal, whose shell is another session's: its reads are EIO. */
const ORPHAN = `import os, pty, sys, time
pid, master = pty.fork()
if pid == 0:
    if os.fork() == 0:
        os.setpgid(0, 0)
        if os.fork() != 0: os._exit(0)
        os.dup2(4, 1)
        os.dup2(4, 2)
        os.execvp(sys.argv[1], sys.argv[1:])
    time.sleep(30)
    os._exit(0)
time.sleep(1)
os.write(master, b"typed\\n")
os.waitpid(pid, 0)
`

t.test('a terminal that refuses to be read is said, and nothing hangs', async t => {
  const file = join(makeScratch(t), 'orphan.py')
  writeFileSync(file, ORPHAN)
  const args = [file, process.execPath, GUESTCTL, 'run', '-i', '--', 'cat; echo read']
  const child = spawn('python3', args, {
    env: { PATH: process.env.PATH, GUESTCTL_CONNECT: connect },
    stdio: ['ignore', 'ignore', 'ignore', 'ignore', 'pipe'],
  })
  t.teardown(() => child.kill())
  let said = ''
  child.stdio[4]?.on('data', chunk => {
    said += chunk
  })
  await until(() => said.includes('read\n') && said.includes('EIO'))
  t.match(said, 'guestctl: standard input: it cannot be read: read EIO\n')
})

t.test('under nohup a hang-up neither ends guestctl nor its command', async t => {
  // The program itself, and Node with it as an argument: nohup leaves its mark in standard input there.
  for (const [name, program] of [
    ['program', [GUESTCTL]],
    ['node', [process.execPath, GUESTCTL]],
  ] as const) {
    const unreadable = openSync('/dev/null', 'w')
    const args = ['--ignore-signal=HUP', ...program, 'run', '--', 'echo on; sleep 2; echo off']
    const child = spawn('env', args, {
      env: { PATH: process.env.PATH, GUESTCTL_CONNECT: connect },
      stdio: [name === 'node' ? unreadable : 'ignore', 'pipe', 'pipe'],
    })
    closeSync(unreadable)
    const ended = endOf(child)
    await new Promise<void>(resolve => child.stdout?.once('data', () => resolve()))
    child.kill('SIGHUP')
    t.same(await ended, { code: 0, out: 'on\noff\n', err: '' }, name)
  }
})

t.test('a background job of a shell leaves Ctrl-C to others, and takes SIGTERM', async t => {
  const { code, out } = await endOf(
    shell(`${GUESTCTL} run -- 'echo on; sleep 1; echo off' & pid=$!
      sleep 0.7; kill -INT $pid; wait $pid; echo "code $?"
      ${GUESTCTL} run -- 'echo on; sleep 60' & pid=$!
      sleep 0.7; kill -TERM $pid; wait $pid; echo "code $?"`),
  )
  t.same({ code, out }, { code: 0, out: 'on\noff\ncode 0\non\ncode 143\n' })
})

t.test('the other commands live on under nohup too', async t => {
  await guestctl(['run', '-d', '--id', 'late', '--', 'echo on; sleep 2; echo off'], { connect })
  const child = spawn('env', ['--ignore-signal=HUP', GUESTCTL, 'output', '-f', 'late'], {
    env: { PATH: process.env.PATH, GUESTCTL_CONNECT: connect },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = endOf(child)
  await new Promise<void>(resolve => child.stdout?.once('data', () => resolve()))
  child.kill('SIGHUP')
  t.same(await ended, { code: 0, out: 'on\noff\n', err: '' })
})

t.test('a text that is not UTF-8 is refused, never changed', async t => {
  const bytes = (text: string) => Buffer.from(text, 'latin1')
  for (const args of [
    "run -- echo $'a\\xffb'",
    "run -- 'echo a\xffb'",
    'run -e "A=\xff" -- true',
    'run -C "/tmp/\xff" -- true',
    'output "\xff"',
    'volume inspect "/tmp/\xff"',
    '--connect "unix:/tmp/\xff" status',
  ]) {
    const { code, out, err } = await endOf(shell(bytes(`$ctl ${args}`)))
    t.same({ code, out }, { code: 125, out: '' }, args)
    t.match(err, /^guestctl: the argument '.*\uFFFD.*' is not UTF-8/, args)
  }
  const own = await endOf(shell(bytes('export OWN=$(printf "\\xff"); $ctl run -e OWN -- true')))
  t.equal(own.code, 125)
  t.match(own.err, 'the value of the variable OWN is not UTF-8')
  const set = await endOf(shell(bytes('GUESTCTL_CONNECT=$(printf "\\xff") $ctl status')))
  t.equal(set.code, 125)
  t.match(set.err, 'the value of the variable GUESTCTL_CONNECT is not UTF-8')
})

t.test('text that is UTF-8 passes to the byte, the replacement character included', async t => {
  const { out } = await run('-e', 'A=ä\uFFFD😀', '--', 'echo "$A" "ü\uFFFD"')
  t.equal(out, 'ä\uFFFD😀 ü\uFFFD\n')
})

t.test('variables may have the names of what every object has', async t => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
  const script = names.map(name => `printenv ${name}`).join('; ')
  const set = names.flatMap((name, index) => ['-e', `${name}=${index}`])
  t.equal((await run(...set, '--', script)).out, '0\n1\n2\n3\n')
  const unset = names.flatMap(name => ['-e', name])
  t.same(await run(...unset, '--', `${script}; true`).then(({ code, out }) => ({ code, out })), {
    code: 0,
    out: '',
  })
})

t.test('the session and the settings have such variables too', async t => {
  const { connect } = await startGuestd(t, {
    config: { env: JSON.parse('{"__proto__": "settings", "constructor": "settings"}') },
  })
  const session = ['session', 'set', '--id', 's', '-e', '__proto__=session']
  const both = await guestctl(['run', '--', 'printenv __proto__ constructor'], { connect })
  t.equal(both.out, 'settings\nsettings\n')
  t.equal((await guestctl(session, { connect })).code, 0)
  const after = await guestctl(['run', '--', 'printenv __proto__ constructor'], { connect })
  t.equal(after.out, 'session\nsettings\n')
  const own = ['run', '-e', '__proto__=own', '--', 'printenv __proto__']
  t.equal((await guestctl(own, { connect })).out, 'own\n')
})

t.test('names of Object.prototype are not verbs', async t => {
  for (const verb of ['constructor', 'toString', '__proto__']) {
    const { code, err } = await guestctl(['volume', verb, '/tmp'])
    t.equal(code, 125)
    t.match(err, `there is no 'volume ${verb}'`)
  }
})

t.test('wait and output --follow end with the exit code of the command', async t => {
  for (const [id, script, code, err] of [
    ['seven', 'sleep 0.5; echo out; exit 7', 7, ''],
    ['zero', 'sleep 0.5; echo out', 0, ''],
    ['killed', 'echo out; kill -TERM $$', 143, ''],
  ] as const) {
    await guestctl(['run', '-d', '--id', id, '--', script], { connect })
    const both = [
      guestctl(['wait', id], { connect }),
      guestctl(['output', '--follow', id], { connect }),
    ]
    const [waited, followed] = await Promise.all(both)
    t.match(waited, { code, out: '', err }, id)
    t.match(followed, { code, out: 'out\n', err }, id)
    t.match(await guestctl(['wait', id], { connect }), { code, out: '', err }, `${id}, ended`)
    t.match(await guestctl(['output', id], { connect }), { code: 0, out: 'out\n' }, `${id}, read`)
  }
})

t.test('wait says why a command was ended, and refuses what is not there', async t => {
  await guestctl(['run', '-d', '--id', 'slow', '--timeout', '300ms', '--', 'sleep 60'], { connect })
  const slow = await guestctl(['wait', 'slow'], { connect })
  t.equal(slow.code, 124)
  t.match(slow.err, 'its time limit passed')
  const none = await guestctl(['wait', 'no-such-id'], { connect })
  t.equal(none.code, 125)
  t.match(none.err, 'command_not_found')
  t.equal((await guestctl(['wait'], { connect })).code, 125)
})

t.test('input that breaks off is an error, even where the command succeeds', async t => {
  const server = createServer(socket => {
    socket.write('123')
    setTimeout(() => socket.resetAndDestroy(), 1_500)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : null
  const { code, out, err } = await endOf(
    shell(`exec 0<>/dev/tcp/127.0.0.1/${port}; $ctl run -i -- 'wc -c'`),
  )
  t.same({ code, out }, { code: 125, out: '3\n' })
  t.match(err, 'standard input: it cannot be read to its end: read ECONNRESET')
})
