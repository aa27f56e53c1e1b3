import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { run, startGuestd, until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'

const DAEMON = join(
  process.env.GUESTD_TEST_DIST ?? join(import.meta.dirname, '../../dist'),
  'guestd.js',
)

const MORE_LINES_THAN_A_PIPE_HOLDS = 1_000

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function guestdWith(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [DAEMON, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise<Ended>(resolve => {
    child.once('close', code => resolve({ code, stdout, stderr }))
  })
}

t.test('--check prints the settings in force, from every source, and exits 0', async t => {
  const file = join(makeScratch(t), 'config.json')
  writeFileSync(file, JSON.stringify({ killGraceMs: 1, maxCommands: 2 }))
  const { code, stdout, stderr } = await guestdWith(
    ['--config', file, '--check', '--listen', 'unix:/run/x.sock'],
    { GUESTD_MAX_COMMANDS: '3', GUESTD_LIMITS_PIDS: '7' },
  )
  t.equal(stderr, '')
  t.equal(code, 0)
  matchExactly(t, JSON.parse(stdout), {
    listen: ['unix:/run/x.sock'],
    killGraceMs: 1,
    maxCommands: 3,
    limits: { pids: 7 },
    logLevel: 'info',
  })
})

t.test('bad settings end guestd with 2 and name the key', async t => {
  const cases: readonly [string[], Record<string, string>, RegExp][] = [
    [['--check'], { GUESTD_KILL_GRACE_MS: 'soon' }, /killGraceMs: "soon" \(from GUESTD_KILL_/],
    [['--check'], { GUESTD_NOPE: '1' }, /GUESTD_NOPE/],
    [['--nope'], {}, /--nope/],
    [['--config', '/nope.json'], {}, /\/nope\.json cannot be read/],
    [['--listen', 'tcp:0.0.0.0:80'], {}, /listen: .*loopback/],
    [['--listen', 'tcp:127.0.0.1:0'], {}, /authToken: tcp:127.0.0.1:0 takes a token/],
  ]
  for (const [args, env, message] of cases) {
    const { code, stdout, stderr } = await guestdWith(args, env)
    t.equal(code, 2)
    t.equal(stdout, '')
    t.match(stderr, message)
    t.equal(stderr.trimEnd().split('\n').length, 1, 'one line, no stack')
  }
})

t.test('with nothing to listen on guestd exits with 2 and names the key', async t => {
  const { code, stderr } = await guestdWith([])
  t.equal(code, 2)
  t.match(stderr, /listen: .*--listen.*GUESTD_LISTEN/)
})

t.test('--help and --version print and exit 0', async t => {
  const help = await guestdWith(['--help'], { GUESTD_NOPE: '1' })
  t.equal(help.code, 0)
  t.match(help.stdout, /^Usage: guestd[\s\S]*GUESTD_REATTACH_GRACE_MS/)
  const version = await guestdWith(['--version'])
  t.equal(version.code, 0)
  t.match(version.stdout, /^guestd \d+\.\d+\.\d+/)
})

t.test('the log is JSON a line, and keeps commands and environments to itself', async t => {
  const guestd = await startGuestd(t, { config: { env: { BASE: 'secret-base' } } })
  await run(guestd, { command: 'echo secret-text', env: { TOKEN: 'secret-value' } })
  await until(() => guestd.log().includes('command ended'))
  for (const line of guestd.log().trimEnd().split('\n')) {
    const { time, level, component } = JSON.parse(line)
    t.equal(new Date(time).toISOString(), time)
    t.match(level, /^(info|debug)$/)
    t.type(component, 'string')
  }
  t.notMatch(guestd.log(), /secret/)
})

t.test(
  'with logCommands the text of a command is logged, and environments still are not',
  async t => {
    const guestd = await startGuestd(t, { config: { logCommands: true } })
    await run(guestd, { command: 'echo told', env: { TOKEN: 'secret-value' } })
    await until(() => guestd.log().includes('echo told'))
    t.notMatch(guestd.log(), /secret/)
  },
)

t.test('a full disk under the log neither stops guestd nor keeps it from its end', async t => {
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const { child, ask } = startWithStdout(t, full)
  await until(async () => (await ask('/healthz')) === 200)
  for (let count = 0; count < 20; count += 1) t.equal(await ask(`/nope/${count}`), 404)
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
})

t.test('guestd answers while its log is not read, and writes all of it later', async t => {
  const { child, ask } = startWithStdout(t, 'pipe')
  child.stdout?.pause()
  await until(async () => (await ask('/healthz')) === 200)
  // More lines than the pipe and its reader hold.
  const replies: number[] = []
  for (let count = 0; count < MORE_LINES_THAN_A_PIPE_HOLDS; count += 1) {
    replies.push(await ask('/nope'))
  }
  t.same(new Set(replies), new Set([404]))
  let output = ''
  const { stdout } = child
  stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  stdout?.resume()
  await until(() => (output.match(/"status":404/g) ?? []).length === replies.length)
})

/** A guestd that logs all it can, with a stdout of the test's choice. */
function startWithStdout(t: Test, stdout: number | 'pipe') {
  const dir = makeScratch(t)
  const socketPath = join(dir, 'api.sock')
  const child = spawn(
    process.execPath,
    [DAEMON, '--listen', `unix:${socketPath}`, '--workspace', dir, '--log-level', 'debug'],
    { env: { GUESTD_RUN_DIR: join(dir, 'run') }, stdio: ['ignore', stdout, 'ignore'] },
  )
  t.teardown(async () => {
    if (child.exitCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  })
  /** The status of the reply, or 0 where there is none. */
  const ask = (path: string) =>
    new Promise<number>(resolve => {
      const headers = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` }
      const sent = request({ socketPath, path, headers }, reply => {
        reply.resume().once('end', () => resolve(reply.statusCode ?? 0))
      })
      sent.once('error', () => resolve(0)).end()
    })
  return { child, ask }
}
