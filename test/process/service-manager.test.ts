import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { run, startGuestd, until } from '../helpers/guestd.ts'
import { openNotifySocket } from '../helpers/notify-socket.ts'
import { makeScratch } from '../helpers/scratch.ts'

const ACTIVATE = join(import.meta.dirname, '../helpers/activate.py')
const WATCHDOG_MS = 300
const WATCHDOG_USEC = String(WATCHDOG_MS * 1_000)
const FEW_FEEDS = 5

/** On SIGWINCH the event loop hangs, as one in an endless loop does. */
const HANG = `
  process.on('SIGWINCH', () => {
    require('node:fs').writeSync(2, 'hung')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })
`

t.test('the manager hears of the start, and how guestd is from then on', async t => {
  const address = join(makeScratch(t), 'notify')
  const manager = await openNotifySocket(t, address)
  const guestd = await startGuestd(t, { env: { NOTIFY_SOCKET: address } })
  const ready = await manager.heard(({ values }) => values.READY === '1')
  t.equal(ready.pid, guestd.pid)
  t.match(ready.values.STATUS, /^Ready; serving unix:.*api\.sock; 0 commands running, 0 ended; /)
  const before = manager.notices.slice(0, manager.notices.indexOf(ready))
  t.ok(before.some(({ values }) => Number(values.EXTEND_TIMEOUT_USEC) > 0))

  const gate = makeGate(guestd.dir)
  const running = run(guestd, { command: `read -r line <${gate}` })
  await manager.heard(({ values }) => / 1 command running, 0 ended/.test(values.STATUS ?? ''))
  writeFileSync(gate, 'on\n')
  await running
  await manager.heard(({ values }) => / 0 commands running, 1 ended/.test(values.STATUS ?? ''))
  t.equal(manager.notices.filter(({ values }) => values.READY === '1').length, 1)
})

t.test('the manager hears of the stop while the commands are being ended', async t => {
  const address = `@guestd-test-${process.pid}`
  const manager = await openNotifySocket(t, address)
  const guestd = await startGuestd(t, {
    env: { NOTIFY_SOCKET: address },
    config: { killGraceMs: 60_000, stopLimitMs: 120_000 },
  })
  const gate = makeGate(guestd.dir)
  const script = `trap 'read -r line <${gate}; exit' TERM; touch up; while :; do sleep 0.05; done`
  const running = run(guestd, { command: script })
  await until(() => existsSync(join(guestd.workspace, 'up')))
  const code = guestd.stop()
  const stopping = await manager.heard(({ values }) => values.STOPPING === '1')
  t.match(stopping.values.STATUS, /^Stopping/)
  await manager.heard(
    notice =>
      manager.notices.indexOf(notice) > manager.notices.indexOf(stopping) &&
      Number(notice.values.EXTEND_TIMEOUT_USEC) > 0,
  )
  writeFileSync(gate, 'on\n')
  t.match((await running).exit, { cause: 'stopped' })
  t.equal(await code, 0)
})

t.test('the watchdog is fed by the event loop, and by nothing else', async t => {
  const address = join(makeScratch(t), 'notify')
  const manager = await openNotifySocket(t, address)
  const guestd = await startGuestd(t, {
    env: { NOTIFY_SOCKET: address, WATCHDOG_USEC },
    nodeArgs: ['--require', writeModule(makeScratch(t), HANG)],
  })
  const feeds = () => manager.notices.filter(({ values }) => values.WATCHDOG === '1').length
  await until(() => feeds() >= FEW_FEEDS)
  process.kill(guestd.pid, 'SIGWINCH')
  await until(() => guestd.log().includes('hung'))
  // What had been sent before is read by then: the next is one of this test's.
  spawnSync('python3', ['-c', SEND, address, 'MARK=1'])
  await manager.heard(({ values }) => values.MARK === '1')
  const before = feeds()
  await sleep(FEW_FEEDS * WATCHDOG_MS)
  t.equal(feeds(), before)
  await guestd.kill()
})

t.test("another process's watchdog is not fed", async t => {
  const address = join(makeScratch(t), 'notify')
  const manager = await openNotifySocket(t, address)
  const guestd = await startGuestd(t, {
    env: { NOTIFY_SOCKET: address, WATCHDOG_USEC, WATCHDOG_PID: String(process.pid) },
  })
  await run(guestd, { command: 'true' })
  // This status comes from a timer that is much slower than watchdog feeds.
  await manager.heard(({ values }) => / 1 ended/.test(values.STATUS ?? ''))
  t.notOk(manager.notices.some(({ values }) => 'WATCHDOG' in values))
})

t.test(
  'guestd answers while the manager reads nothing, and sends it the latest state then',
  async t => {
    const address = join(makeScratch(t), 'notify')
    const manager = await openNotifySocket(t, address)
    // A queue holds at most net.unix.max_dgram_qlen datagrams: soon full of feeds.
    const fast = { NOTIFY_SOCKET: address, WATCHDOG_USEC: '3000' }
    const guestd = await startGuestd(t, { env: fast })
    await manager.heard(({ values }) => values.READY === '1')
    manager.process.kill('SIGSTOP')
    for (let count = 0; count < FEW_FEEDS; count += 1) {
      t.match((await run(guestd, { command: 'sleep 0.2' })).exit, { cause: 'exit', exitCode: 0 })
    }
    manager.process.kill('SIGCONT')
    await manager.heard(({ values }) => values.STATUS?.includes(` ${FEW_FEEDS} ended`) ?? false)
    t.notMatch(guestd.log(), /service manager/)
  },
)

t.test('a missing manager is logged once', async t => {
  const address = join(makeScratch(t), 'nobody')
  const guestd = await startGuestd(t, { env: { NOTIFY_SOCKET: address, WATCHDOG_USEC } })
  await sleep(WATCHDOG_MS)
  t.match((await run(guestd, { command: 'echo fine' })).stdout, 'fine')
  t.equal(await guestd.stop(), 0)
  t.equal(guestd.log().match(/"errno":"ENOENT"/g)?.length, 1)
})

t.test("a command sees nothing of the manager's, neither variables nor descriptors", async t => {
  const dir = makeScratch(t)
  const address = join(dir, 'notify')
  const inherited = join(dir, 'inherited.sock')
  await openNotifySocket(t, address)
  const guestd = await startGuestd(t, {
    env: { NOTIFY_SOCKET: address, WATCHDOG_USEC },
    wrap: ['python3', ACTIVATE, inherited],
  })
  t.match(guestd.log(), /"listening":\["unix:.*api\.sock","fd:3"\]/)
  t.equal(await statusOf(inherited, '/healthz'), 200)
  const { stdout } = await run(guestd, { command: 'env; ls -l /proc/$$/fd' })
  t.notMatch(stdout, /NOTIFY|WATCHDOG|LISTEN|socket:/)
  t.match(stdout, /^PATH=/m)
})

/** sd_notify(3) of a process that is not guestd. */
const SEND = `
import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(sys.argv[2].encode(), sys.argv[1])
`

/** A FIFO: its reader waits until the test writes. */
function makeGate(dir: string): string {
  const gate = join(dir, 'gate')
  if (spawnSync('mkfifo', ['-m', '666', gate]).status !== 0) throw new Error(`no FIFO at ${gate}`)
  return gate
}

function writeModule(dir: string, source: string): string {
  const path = join(dir, 'hang.cjs')
  writeFileSync(path, source)
  return path
}

function statusOf(socketPath: string, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path }, reply => {
      reply.resume().once('end', () => resolve(reply.statusCode ?? 0))
    })
      .once('error', reject)
      .end()
  })
}
