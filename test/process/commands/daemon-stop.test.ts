import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { openOutput, openRun } from '../../helpers/frame-stream.ts'
import { type Guestd, startGuestd } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { stateOf } from '../../helpers/processes.ts'
import { inspect, mark } from './support.ts'

/** Far above an end without waiting, far below the graces that would be waited for. */
const SOON_MS = 5_000

t.test(
  'SIGTERM ends commands as stopped, readers get their last frames, guestd exits with 0',
  async t => {
    const guestd = await startGuestd(t)
    const { env, living } = mark(t)
    const polite = await openRun(guestd, {
      id: 'polite',
      command: 'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.02; done',
      env,
    })
    const plain = await openRun(guestd, {
      id: 'plain',
      command: 'setsid sleep 1000 & echo up; sleep 1000',
      env,
    })
    const reader = await openOutput(guestd, 'polite', 'follow=true')
    await guestd.request('POST', '/v1/commands', {
      body: { argv: ['sleep', '1000'], detach: true, env },
    })
    for (const stream of [polite, plain, reader]) await stream.seen('up')
    const { pid } = guestd
    const [code, fromPolite, fromReader, fromPlain] = await Promise.all([
      guestd.stop(),
      polite.rest(),
      reader.rest(),
      plain.rest(),
    ])
    t.equal(code, 0)
    t.equal(stateOf(pid), '')
    const last = [
      { type: 'output', text: 'bye\n' },
      { type: 'exit', cause: 'stopped', exitCode: 3, signal: null },
      { type: 'end', truncated: 0, descendants: 0 },
    ]
    // bash may report on stderr that its sleep was terminated.
    const quiet = (frames: typeof fromPolite) => frames.filter(frame => frame.stream !== 'stderr')
    t.match(quiet(fromPolite), last)
    t.match(quiet(fromReader), last, 'for each reader')
    matchExactly(t, fromPlain, [
      { type: 'exit', cause: 'stopped', signal: 'SIGTERM' },
      { type: 'end' },
    ])
    t.same(living(), [])
    t.notOk(existsSync(guestd.socketPath), 'the socket file is gone')
  },
)

t.test('a command that ignores SIGTERM is killed after the grace', async t => {
  const killGraceMs = 700
  const guestd = await startGuestd(t, { config: { killGraceMs } })
  const { env, living } = mark(t)
  const command = 'trap "" TERM; setsid sleep 1000 & echo up; while :; do sleep 0.1; done'
  const stream = await openRun(guestd, { command, env })
  await stream.seen('up')
  const from = performance.now()
  const [code, frames] = await Promise.all([guestd.stop(), stream.rest()])
  const took = performance.now() - from
  t.equal(code, 0)
  t.ok(took >= killGraceMs && took < killGraceMs + SOON_MS, `${Math.round(took)} ms`)
  matchExactly(t, frames, [{ type: 'exit', cause: 'stopped', signal: 'SIGKILL' }, { type: 'end' }])
  t.same(living(), [])
})

t.test('a second SIGTERM cuts the grace short', async t => {
  const guestd = await startGuestd(t, { config: { killGraceMs: 60_000, stopLimitMs: 90_000 } })
  const { env, living } = mark(t)
  const command = 'trap "echo ignored" TERM; echo up; while :; do sleep 0.02; done'
  const stream = await openRun(guestd, { command, env })
  await stream.seen('up')
  const { pid } = guestd
  process.kill(pid, 'SIGTERM')
  await stream.seen('ignored')
  await sleep(300)
  t.equal(living().length > 0, true, 'it has its grace')
  const from = performance.now()
  const [code, frames] = await Promise.all([guestd.stop(), stream.rest()])
  t.ok(performance.now() - from < SOON_MS)
  t.equal(code, 0)
  matchExactly(
    t,
    frames.filter(frame => frame.type === 'exit'),
    [{ cause: 'stopped', signal: 'SIGKILL' }],
  )
})

t.test('while it stops guestd takes no new commands', async t => {
  const guestd = await startGuestd(t, { config: { killGraceMs: 60_000, stopLimitMs: 90_000 } })
  const { env } = mark(t)
  const command = 'trap "echo ignored" TERM; echo up; while :; do sleep 0.02; done'
  const stream = await openRun(guestd, { id: 'last', command, env })
  await stream.seen('up')
  process.kill(guestd.pid, 'SIGTERM')
  await stream.seen('ignored')
  const reply = await guestd.request('POST', '/v1/commands', { body: { command: 'true' } })
  t.equal(reply.status, 503)
  t.match(reply.json(), { code: 'stopping' })
  t.match(await inspect(guestd, 'last'), { state: 'running' }, 'and still answers')
  await guestd.stop()
  await stream.rest()
})

t.test('a stalled starter does not hold up the stop', async t => {
  const guestd = await startGuestd(t, { config: { killGraceMs: 300 } })
  const stream = await openRun(guestd, { command: 'trap "" TERM; yes' })
  await stream.upTo('output')
  const from = performance.now()
  t.equal(await guestd.stop(), 0)
  t.ok(performance.now() - from < 2 * SOON_MS)
})

/** Runs another guestd to its end. */
async function startSecond(guestd: Guestd, args: readonly string[]) {
  const dist = process.env.GUESTD_TEST_DIST ?? join(import.meta.dirname, '../../../dist')
  const child = spawn(process.execPath, [join(dist, 'guestd.js'), ...args], {
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: guestd.dir,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  const timer = setTimeout(() => child.kill('SIGKILL'), 2 * SOON_MS)
  const [code] = await once(child, 'close')
  clearTimeout(timer)
  return { code, output }
}

t.test('a second guestd on the same folder or socket refuses to start', async t => {
  const guestd = await startGuestd(t)
  const { env, living } = mark(t)
  const stream = await openRun(guestd, { id: 'here', command: 'echo up; sleep 1000', env })
  await stream.seen('up')
  const config = join(guestd.dir, 'config.json')
  const other = `unix:${join(guestd.dir, 'other.sock')}`
  const sameFolder = await startSecond(guestd, ['--config', config, '--listen', other])
  t.equal(sameFolder.code, 1)
  t.equal(
    sameFolder.output,
    `guestd: runDir ${guestd.dir}/run cannot be used: another guestd has it: pid ${guestd.pid}\n`,
  )
  t.notOk(existsSync(join(guestd.dir, 'other.sock')))

  const settings = join(guestd.dir, 'second.json')
  const runDir = join(guestd.dir, 'run-2')
  writeFileSync(
    settings,
    JSON.stringify({ listen: [guestd.connect], workspace: guestd.workspace, runDir }),
  )
  const sameSocket = await startSecond(guestd, ['--config', settings])
  t.equal(sameSocket.code, 1)
  t.match(sameSocket.output, /in use/)

  t.match(await inspect(guestd, 'here'), { state: 'running' }, 'the first one is not harmed')
  t.equal(living().length, 1)
})
