import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { until } from '../helpers/guestd.ts'
import { openNotifySocket } from '../helpers/notify-socket.ts'
import { makeScratch } from '../helpers/scratch.ts'

const ACTIVATE = join(import.meta.dirname, '../helpers/activate.py')
const DAEMON = join(
  process.env.GUESTD_TEST_DIST ?? join(import.meta.dirname, '../../dist'),
  'guestd.js',
)
const BAD = { killGraceMs: 'soon', nope: 1, env: { TOKEN: 5 } }
const BAD_KEYS = [
  /^configuration: nope \(from .*config\.json\) is no setting/,
  /^configuration: env: the value .* is not allowed/,
  /^configuration: killGraceMs: "soon" \(from .*config\.json\)/,
]

t.test('bad settings are served over inherited sockets, and nothing else is', async t => {
  const guestd = await startMisconfigured(t)
  t.match(await ask(guestd, 'GET', '/healthz'), { status: 200, body: { alive: true } })
  const readiness = await ask(guestd, 'GET', '/readyz')
  const reasons = BAD_KEYS.map(message => ({ code: 'misconfigured', message }))
  t.match(readiness, { status: 503, body: { ready: false, reasons } })
  const { body } = await ask(guestd, 'GET', '/v1/session')
  t.match(body, { state: 'misconfigured', reason: /nope.*; env.*; killGraceMs/ })
  for (const [method, path] of [
    ['POST', '/v1/commands'],
    ['GET', '/v1/commands'],
    ['GET', '/v1/events'],
    ['GET', '/openapi.json'],
    ['GET', '/no/such/route'],
    ['DELETE', '/healthz'],
  ] as const) {
    const refused = await ask(guestd, method, path)
    t.equal(refused.status, 503, path)
    t.match(refused.body, { code: 'misconfigured', field: 'nope', detail: /killGraceMs/ }, path)
  }
  t.notOk(existsSync(join(guestd.dir, 'run')), 'nothing is kept')
})

t.test('the console and the manager get the reason, and SIGTERM ends it', async t => {
  const address = join(makeScratch(t), 'notify')
  const manager = await openNotifySocket(t, address)
  const guestd = await startMisconfigured(t, { NOTIFY_SOCKET: address, WATCHDOG_USEC: '300000' })
  const { values } = await manager.heard(notice => notice.values.READY === '1')
  t.match(values.STATUS, /^Misconfigured: nope .*killGraceMs/)
  await manager.heard(notice => notice.values.WATCHDOG === '1')
  t.match(guestd.stderr(), /^guestd: nope .*\nguestd: env.*\nguestd: killGraceMs.*\n$/)
  guestd.child.kill('SIGTERM')
  t.same(await once(guestd.child, 'exit'), [0, null])
  t.ok(manager.notices.some(notice => notice.values.STOPPING === '1'))
})

t.test('guestctl prints what to correct', async t => {
  const { connect } = await startMisconfigured(t)
  const status = await guestctl(['status'], { connect })
  t.equal(status.code, 0)
  t.match(
    status.out,
    /^State: +misconfigured\nBecause: +configuration: nope.*\n +configuration: env/,
  )
  t.notMatch(status.out, /Workspace|Commands/)
  const run = await guestctl(['run', '--', 'true'], { connect })
  t.equal(run.code, 125)
  t.match(run.err, /killGraceMs: "soon".*\(misconfigured\): correct the settings in the guest/)
})

t.test('corrected settings are used at the next start', async t => {
  const guestd = await startMisconfigured(t)
  guestd.child.kill('SIGKILL')
  await once(guestd.child, 'exit')
  writeFileSync(guestd.settings, JSON.stringify({ workspace: guestd.dir, runDir: guestd.runDir }))
  const corrected = await start(t, guestd.dir, {})
  t.match(await ask(corrected, 'GET', '/readyz'), { status: 200, body: { ready: true } })
})

t.test('--check and a start without sockets exit with 2, every bad key a line', async t => {
  const dir = makeScratch(t)
  const settings = join(dir, 'config.json')
  writeFileSync(settings, JSON.stringify({ listen: [`unix:${dir}/api.sock`], ...BAD }))
  const direct = ['--config', settings]
  for (const [program, args] of [
    [process.execPath, [DAEMON, ...direct]],
    [process.execPath, [DAEMON, '--check', ...direct]],
    ['python3', [ACTIVATE, join(dir, 's'), process.execPath, DAEMON, '--check', ...direct]],
  ] as const) {
    const child = spawn(program, args, {
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    t.same(await once(child, 'close'), [2, null])
    t.match(stderr, /^guestd: nope .*\nguestd: env.*\nguestd: killGraceMs.*\n$/)
    t.notOk(existsSync(join(dir, 'api.sock')))
  }
})

async function startMisconfigured(t: Test, env: Readonly<Record<string, string>> = {}) {
  const dir = makeScratch(t)
  const runDir = join(dir, 'run')
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ runDir, ...BAD }))
  return await start(t, dir, env)
}

/** A guestd on an inherited socket, once it answers there. */
async function start(t: Test, dir: string, env: Readonly<Record<string, string>>) {
  const socketPath = join(dir, 'api.sock')
  const settings = join(dir, 'config.json')
  rmSync(socketPath, { force: true })
  const command = [process.execPath, DAEMON, '--config', settings]
  const child = spawn('python3', [ACTIVATE, socketPath, ...command], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  })
  const connect = `unix:${socketPath}`
  const guestd = { child, dir, connect, settings, socketPath, runDir: join(dir, 'run') }
  await until(() => existsSync(socketPath))
  await ask(guestd, 'GET', '/healthz')
  return { ...guestd, stderr: () => stderr }
}

function ask({ socketPath }: { socketPath: string }, method: string, path: string) {
  return new Promise<{ status: number; body: unknown }>((resolve, reject) => {
    request({ socketPath, method, path }, async reply => {
      let text = ''
      for await (const chunk of reply.setEncoding('utf8')) text += chunk
      resolve({ status: reply.statusCode ?? 0, body: JSON.parse(text) })
    })
      .once('error', reject)
      .end()
  })
}
