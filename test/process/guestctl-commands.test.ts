import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { guestctl, startGuestctl } from '../helpers/guestctl.ts'
import { startGuestd, until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'

const guestd = await startGuestd(t)
const { connect } = guestd
const ctl = (...args: string[]) => guestctl(args, { connect })
const packageFile = join(import.meta.dirname, '../../package.json')

t.test('help and version are there without an address', async t => {
  const { version } = JSON.parse(readFileSync(packageFile, 'utf8'))
  t.match(await guestctl(['--version']), { code: 0, out: `guestctl ${version}\n`, err: '' })
  const top = await guestctl(['--help'])
  t.match(top, { code: 0, out: /^Usage: guestctl/, err: '' })
  t.equal((await guestctl(['help'])).out, top.out)
  for (const name of [
    'run',
    'ps',
    'inspect',
    'output',
    'kill',
    'stdin',
    'status',
    'session',
    'events',
  ]) {
    const help = await guestctl([name, '--help'])
    t.match(help, { code: 0, out: new RegExp(`^Usage: guestctl ${name} `), err: '' }, name)
    t.equal((await guestctl(['help', name])).out, help.out)
  }
})

t.test('wrong usage ends with 125 and says where to read more', async t => {
  const wrong = [
    [[], "there is no command\nSee 'guestctl --help'."],
    [['dance'], "there is no command 'dance'\nSee 'guestctl --help'."],
    [['ps', '--long'], "unknown option '--long'\nSee 'guestctl ps --help'."],
    [['ps', 'x'], "'x' is one argument too many\nSee 'guestctl ps --help'."],
    [['inspect'], "the ID of a command is missing\nSee 'guestctl inspect --help'."],
    [['output', 'a', 'b'], "'b' is one argument too many\nSee 'guestctl output --help'."],
    [
      ['output', 'a', '--cursor', 'x'],
      "--cursor: 'x' is not a whole number\nSee 'guestctl output --help'.",
    ],
    [
      ['run', '--detach', '--json', '--', 'x'],
      "--detach and --json exclude each other\nSee 'guestctl run --help'.",
    ],
  ] as const
  for (const [args, text] of wrong) {
    t.match(await ctl(...args), { code: 125, out: '', err: `guestctl: ${text}\n` }, args.join(' '))
  }
})

t.test('a detached command is listed, inspected, signalled and killed', async t => {
  const started = await ctl(
    'run',
    '-d',
    '--id',
    'job',
    '--',
    'trap "echo usr1" USR1; while :; do sleep 0.05; done',
  )
  t.match(started, { code: 0, out: 'job\n' })

  const listed = await ctl('ps')
  t.match(
    listed.out,
    /^ID +STATE +STARTED +USER +OUTPUT +COMMAND\njob +running +\S+ ago +\S+ +0 B +trap "echo usr1"/,
  )
  matchExactly(t, JSON.parse((await ctl('ps', '--json')).out), {
    commands: [{ id: 'job', state: 'running' }],
  })

  for (const signal of ['USR1', 'SIGUSR1', '10']) {
    const before = (await ctl('output', 'job')).out
    t.match(await ctl('kill', 'job', '--signal', signal), { code: 0, out: '', err: '' })
    await until(async () => (await ctl('output', 'job')).out === `${before}usr1\n`)
  }

  t.match(await ctl('inspect', 'job'), {
    code: 0,
    out: /^Id: +job\nState: +running\nCommand: +trap/,
  })
  const killed = await ctl('kill', 'job')
  t.match(killed, { code: 0, out: /^job: no process is left \((cgroup|group)\)\n$/ })
  t.match(JSON.parse((await ctl('kill', 'job', '--json')).out), { id: 'job', empty: true })
  t.match(await ctl('kill', 'job'), {
    code: 0,
    out: /^job: it had ended before \(SIGKILL \(killed\)\); no process is left \((cgroup|group)\)\n$/,
  })

  t.notMatch((await ctl('ps')).out, /job/)
  t.match((await ctl('ps', '--all')).out, /^job +SIGKILL \(killed\)/m)
  const info = JSON.parse((await ctl('inspect', 'job', '--json')).out)
  t.match(info, { id: 'job', state: 'ended', cause: 'killed', signal: 'SIGKILL' })
})

t.test('a command that ended is listed while processes of it live', async t => {
  t.match(await ctl('run', '--id', 'left', '--', 'sleep 60 &'), { code: 0 })
  t.match((await ctl('ps')).out, /^left +exit 0, 1 alive +/m)
  matchExactly(t, JSON.parse((await ctl('ps', '--json')).out), {
    commands: [{ id: 'left', state: 'ended', descendants: 1 }],
  })
  t.match(await ctl('kill', 'left'), { out: /^left: it had ended before \(exit 0\); no process/ })
  t.notMatch((await ctl('ps')).out, /^left/m)
})

t.test('output is printed from a cursor, apart, and followed to the end', async t => {
  await ctl(
    'run',
    '-d',
    '--id',
    'talk',
    '--',
    'echo one; echo two >&2; read < fifo; echo three; exit 5',
  )
  await until(async () => (await ctl('inspect', 'talk', '--json')).out.includes('"cursor": '))
  await until(async () => (await ctl('output', 'talk')).err === 'two\n' || isEnded('talk'))
  const following = startGuestctl(['output', 'talk', '--follow'], { connect })
  t.match(await following.ended, { code: 5 })
  t.match(await ctl('output', 'talk', '--cursor', '4'), { code: 0 })
  t.match(await ctl('output', 'talk', '--cursor', '4000'), {
    code: 125,
    err: /cursor_out_of_range/,
  })
  const lines = (await ctl('output', 'talk', '--json')).out.trimEnd().split('\n')
  t.match(lines.map(line => JSON.parse(line)).at(-1), { type: 'end' })
})

t.test('output that is no longer held is reported as a gap', async t => {
  const small = await startGuestd(t, { config: { output: { ringBytes: 262144 } } })
  const at = { connect: small.connect }
  await guestctl(['run', '-d', '--id', 'much', '--', 'head -c 2000000 /dev/zero; echo end'], at)
  await until(
    async () => (await small.request('GET', '/v1/commands/much')).json().state === 'ended',
  )
  const { code, stdout, err } = await guestctl(['output', 'much'], at)
  t.equal(code, 0)
  t.ok(stdout.length <= 262_144 && stdout.toString().endsWith('end\n'), `${stdout.length} bytes`)
  t.match(err, /^guestctl: .* of output are no longer held, from byte 0 on\n$/)
})

t.test('standard input is written from elsewhere, and ended', async t => {
  const input = randomBytes(1_000_000)
  const running = startGuestctl(['run', '-i', '--id', 'fed', '--', 'cat'], { connect })
  running.stdin.write('first ')
  await running.untilOutput('first ')
  t.match(await guestctl(['stdin', 'fed'], { connect, input }), { code: 0, out: '', err: '' })
  const { code, stdout } = await running.ended
  t.equal(code, 0)
  t.ok(stdout.equals(Buffer.concat([Buffer.from('first '), input])))
  t.match(await guestctl(['stdin', 'fed'], { connect, input: 'x' }), {
    code: 125,
    err: /^guestctl: standard input has no reader any more; 1000006 bytes were accepted \(stdin_closed\)\n$/,
  })
  t.match(await ctl('run', '-d', '--id', 'deaf', '--', 'sleep 60'), { code: 0 })
  t.match(await guestctl(['stdin', 'deaf'], { connect, input: 'x' }), {
    code: 125,
    err: /^guestctl: the command was started without "stdin": "open" \(stdin_closed\)\n$/,
  })
  t.match(await ctl('kill', 'deaf'), { code: 0 })
})

t.test('a detached command can be given its input later', async t => {
  t.match(await ctl('run', '-d', '-i', '--id', 'later', '--', 'wc -c'), { code: 0, out: 'later\n' })
  t.match(await guestctl(['stdin', 'later'], { connect, input: 'four' }), { code: 0 })
  t.match(await ctl('output', '--follow', 'later'), { code: 0, out: '4\n' })
})

t.test('the status is printed as text and as JSON', async t => {
  const { code, out } = await ctl('status')
  t.equal(code, 0)
  t.match(out, /^State: +ready\n/)
  t.ok(out.includes(guestd.workspace))
  const status = JSON.parse((await ctl('status', '--json')).out)
  matchExactly(t, status, { state: 'ready', ready: true, reasons: [], apiVersion: '1' })
})

t.test('an unknown id says where the known ones are', async t => {
  for (const name of ['inspect', 'output', 'kill', 'stdin']) {
    t.match(
      await ctl(name, 'nobody'),
      { code: 125, out: '', err: /^guestctl: .*\(command_not_found\): 'guestctl ps --all'/ },
      name,
    )
  }
})

async function isEnded(id: string): Promise<boolean> {
  return (await guestd.request('GET', `/v1/commands/${id}`)).json().state === 'ended'
}
