import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { guestctl, startGuestctl } from '../helpers/guestctl.ts'
import { type Guestd, startGuestd, until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'

const guestd: Guestd = await startGuestd(t)
const { connect } = guestd
const run = (...args: string[]) => guestctl(['run', ...args], { connect })

t.test('exit codes are those of docker run, timeout and the shell', async t => {
  const table = [
    [['--', 'exit 0'], 0],
    [['--', 'exit 7'], 7],
    [['--', 'exit 255'], 255],
    [['--', 'true', 'x'], 0],
    [['--', 'kill -9 $$'], 137],
    [['--', 'kill -TERM $$'], 143],
    [['--timeout', '200ms', '--', 'sleep 30'], 124],
    [['--', './no/such/program', 'x'], 127],
    [['--', '/etc/passwd', 'x'], 126],
    [['--', '/', 'x'], 126],
    [['--', 'no-such-program-in-bash'], 127],
    [['-C', '/nowhere', '--', 'true'], 125],
    [['-u', 'nobody-of-this-name', '--', 'true'], 125],
    [[], 125],
    [['--no-such-option', '--', 'true'], 125],
    [['--timeout', 'soon', '--', 'true'], 125],
  ] as const
  for (const [args, code] of table) t.equal((await run(...args)).code, code, args.join(' '))
})

t.test('stdout and stderr are apart, and each byte is as it was written', async t => {
  const bytes = randomBytes(3_000_000)
  writeFileSync(join(guestd.workspace, 'random'), bytes)
  const { code, stdout, stderr } = await run('--', 'cat random & cat random >&2; wait; exit 9')
  t.equal(code, 9)
  t.ok(stdout.equals(bytes))
  t.ok(stderr.equals(bytes))
})

t.test('one argument is a bash script, several are a program and its arguments', async t => {
  t.equal((await run('--', 'x=1; echo "$x" | cat; echo a > /dev/stderr')).out, '1\n')
  t.equal((await run('--', 'echo', '$x', ';', '--help')).out, '$x ; --help\n')
  t.equal((await run('echo', '-n', '--')).out, '--')
})

t.test('cwd, environment, user and limits are handed on', async t => {
  const script = 'pwd; echo "$A|$OWN|$NONE."; id -un; ulimit -n'
  const args = ['-C', '/tmp', '-e', 'A=1 2', '-e', 'OWN', '-e', 'NONE', '-u', '0', '--nofile', '77']
  const { out, err } = await guestctl(['run', ...args, '--', script], {
    connect,
    env: { OWN: 'mine' },
  })
  t.equal(out, '/tmp\n1 2|mine|.\nroot\n77\n')
  t.equal(err, '')
})

t.test('an end that guestd made is explained on stderr, after the output', async t => {
  const ended = await run('--timeout', '200ms', '--', 'echo part; echo err >&2; sleep 30')
  t.equal(ended.out, 'part\n')
  t.equal(ended.err, 'err\nguestctl: the command was ended because its time limit passed\n')
})

t.test('10 MiB go through a command and come back the same', async t => {
  const input = randomBytes(10 * 1024 * 1024)
  const { code, stdout, err } = await guestctl(['run', '-i', '--', 'cat'], { connect, input })
  t.equal(err, '')
  t.equal(code, 0)
  t.ok(stdout.equals(input))
})

t.test('a command that stops reading its input is no error', async t => {
  const input = Buffer.alloc(4 * 1024 * 1024, 'x\n')
  const { code, out, err } = await guestctl(['run', '-i', '--', 'head -c 4; exit 3'], {
    connect,
    input,
  })
  t.match({ code, out, err }, { code: 3, out: 'x\nx\n', err: '' })
})

t.test('a command that ends does not wait for an input that stays open', async t => {
  const running = startGuestctl(['run', '-i', '--', 'read line; echo "$line"'], { connect })
  running.stdin.write('hello\n')
  t.match(await running.ended, { code: 0, out: 'hello\n', err: '' })
})

t.test('a slow command makes the writer wait', async t => {
  const running = startGuestctl(['run', '-i', '--', 'echo ready; sleep 2; cat | wc -c'], {
    connect,
  })
  await running.untilOutput('ready')
  const chunk = Buffer.alloc(64 * 1024)
  let written = 0
  const writing = (async () => {
    for (; written < 64 * 1024 * 1024; written += chunk.length) {
      if (!running.stdin.write(chunk)) await once(running.stdin, 'drain')
    }
  })()
  await new Promise(resolve => setTimeout(resolve, 700))
  const stalled = written
  t.ok(stalled < 8 * 1024 * 1024, `${stalled} bytes before it had to wait`)
  await new Promise(resolve => setTimeout(resolve, 200))
  t.equal(written, stalled)
  await writing
  running.stdin.end()
  t.equal((await running.ended).out, `ready\n${64 * 1024 * 1024}\n`)
})

t.test('a reader that stalls makes the command wait, and loses nothing', async t => {
  const running = startGuestctl(['run', '--', 'head -c 30000000 /dev/zero; echo done > made'], {
    connect,
  })
  running.stdout.pause()
  await new Promise(resolve => setTimeout(resolve, 700))
  t.throws(() => readFileSync(join(guestd.workspace, 'made')), 'it waits')
  running.stdout.resume()
  const { code, stdout } = await running.ended
  t.equal(code, 0)
  t.equal(stdout.length, 30_000_000)
})

t.test('a reader that goes away ends the command as a closed pipe does', async t => {
  const running = startGuestctl(['run', '--id', 'closed', '--', 'yes'], { connect })
  await running.untilOutput('y\n')
  running.stdout.destroy()
  t.match(await running.ended, { code: 141, err: '' })
  await until(async () => {
    const info = (await guestd.request('GET', '/v1/commands/closed')).json()
    return info.state === 'ended' && info.signal === 'SIGPIPE'
  })
})

t.test('a reader that goes away is noticed by a command that is silent then', async t => {
  const running = startGuestctl(['run', '--', 'echo a; sleep 0.3; echo b; sleep 60'], { connect })
  await running.untilOutput('a\n')
  running.stdout.destroy()
  const began = performance.now()
  t.match(await running.ended, { code: 141, err: '' })
  t.ok(performance.now() - began < 10_000)
})

t.test('frames are printed as lines, and the exit code stays', async t => {
  const { code, out, err } = await run(
    '--json',
    '--id',
    'framed',
    '--',
    'printf é; printf "\\xff" >&2; exit 4',
  )
  t.equal(err, '')
  t.equal(code, 4)
  const frames = out
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  matchExactly(t, frames, [
    { type: 'start', id: 'framed', cursor: 0 },
    { type: 'output', stream: 'stdout', text: 'é' },
    { type: 'output', stream: 'stderr', base64: '/w==' },
    { type: 'exit', exitCode: 4, cause: 'exit' },
    { type: 'end', stdoutBytes: 2, stderrBytes: 1, cursor: 3 },
  ])
})

t.test('the same id and command attaches, another command is refused', async t => {
  const args = ['--id', 'twice', '--', 'echo run >> twice; echo out']
  t.equal((await run(...args)).out, 'out\n')
  t.equal((await run(...args)).out, 'out\n')
  t.equal(readFileSync(join(guestd.workspace, 'twice'), 'utf8'), 'run\n')
  t.match(await run('--id', 'twice', '--', 'other'), { code: 125, err: /\(id_conflict\)/ })
})

t.test('descendants live on without holding guestctl, or are killed', async t => {
  const kept = await run('--id', 'kept', '--', 'sleep 60 & echo $!')
  t.equal(kept.code, 0)
  t.equal(process.kill(Number(kept.out), 0), true)
  t.match(await guestctl(['kill', 'kept'], { connect }), { code: 0 })
  const killed = await run('--background', 'kill', '--', 'sleep 60 & echo $!')
  t.equal(killed.code, 0)
  await until(() => isGone(Number(killed.out)))
})

t.test('guestctl says how to read on when more output may follow', async t => {
  const ends = (id: string) => `'guestctl kill ${id}' ends them`
  const open = await run('--id', 'open', '--', '(sleep 0.5; echo late) & echo now')
  t.match(open, { code: 0, out: 'now\n' })
  t.equal(
    open.err,
    `guestctl: 2 of its processes still run, and more output may follow: 'guestctl output open --follow' reads it, ${ends('open')}\n`,
  )
  t.equal((await guestctl(['output', 'open', '--follow'], { connect })).out, 'now\nlate\n')

  const script = 'sleep 60 > /dev/null 2>&1 &'
  t.match(await run('--id', 'shut', '--', script), { code: 0, err: '' })
  const verbose = ['run', '--verbose', '--id', 'noted', '--', script]
  const noted = await guestctl(verbose, { connect })
  t.equal(noted.err, `guestctl: 1 of its processes still run: ${ends('noted')}\n`)
  for (const id of ['shut', 'noted']) await guestctl(['kill', id], { connect })
})

t.test('a command is killed with its guestctl where that was asked for', async () => {
  const args = ['run', '--id', 'leashed', '--on-disconnect', 'kill', '--', 'echo on; sleep 60']
  const running = startGuestctl(args, { connect })
  await running.untilOutput('on')
  running.child.kill('SIGKILL')
  await until(async () => {
    const info = (await guestd.request('GET', '/v1/commands/leashed')).json()
    return info.cause === 'disconnected'
  })
})

t.test('a checksum over a long stream is the same on both sides', async t => {
  const made = await run('--', 'head -c 20000000 /dev/urandom | tee >(sha256sum >&2)')
  const sum = createHash('sha256').update(made.stdout).digest('hex')
  t.equal(made.err.split(' ')[0], sum)
})

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}
