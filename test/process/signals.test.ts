import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { openRun } from '../helpers/frame-stream.ts'
import { run, startGuestd, until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { fieldOf, statusField } from '../helpers/processes.ts'
import { spawnGuestd } from '../helpers/raw-guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'

/** USR1, USR2, ALRM, STKFLT, XCPU, VTALRM, PROF, IO, and the real-time ones: signal(7). */
const IGNORED = [10, 12, 14, 16, 24, 26, 27, 29, ...Array.from({ length: 33 }, (_, n) => 32 + n)]
/** As long as guestd takes to load its code and to serve, with room on both sides. */
const MOMENTS_MS = Array.from({ length: 10 }, (_, n) => n * 30)
const INSPECTOR = /Debugger listening on ws:\/\/127\.0\.0\.1:(\d+)/

t.test('a signal that guestd has no use for changes nothing', async t => {
  const guestd = await startGuestd(t)
  const stream = await openRun(guestd, { id: 'here', command: 'echo up; read line', stdin: 'open' })
  await stream.seen('up')
  for (const number of IGNORED) process.kill(guestd.pid, number)
  t.equal((await run(guestd, { command: 'echo still' })).stdout, 'still\n')
  t.equal((await guestd.request('GET', '/readyz')).status, 200)
  await guestd.request('POST', '/v1/commands/here/stdin', { body: 'x\n' })
  const frames = await stream.rest()
  matchExactly(
    t,
    frames.filter(frame => frame.type === 'exit'),
    [{ cause: 'exit', exitCode: 0 }],
  )
  t.notMatch(guestd.log(), INSPECTOR)
  const ignored = BigInt(`0x${statusField(guestd.pid, 'SigIgn')}`)
  const caught = BigInt(`0x${statusField(guestd.pid, 'SigCgt')}`)
  // 32 and 33 may have a handler of the C library.
  const missing = IGNORED.filter(
    number =>
      (((number === 32 || number === 33 ? caught : 0n) | ignored) >> BigInt(number - 1)) % 2n ===
      0n,
  )
  t.same(missing, [])
  t.equal(await guestd.stop(), 0)
})

t.test('commands inherit no signal that guestd ignores, of either user', async t => {
  const guestd = await startGuestd(t)
  for (const user of process.getuid?.() === 0 ? ['root', 'nobody'] : [undefined]) {
    const { stdout } = await run(guestd, { command: 'cat /proc/self/status', user, cwd: '/' })
    for (const name of ['SigIgn', 'SigBlk', 'SigCgt', 'SigPnd', 'ShdPnd'])
      t.equal(fieldOf(stdout, name), '0000000000000000', `${user} ${name}`)
  }
  const { exit } = await run(guestd, { command: 'kill -USR1 $$; echo survived', cwd: '/' })
  t.match(exit, { cause: 'signal', signal: 'SIGUSR1' })
})

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGPWR'] as const) {
  t.test(`${signal} starts the stop`, async t => {
    const guestd = spawnGuestd(t)
    await until(() => guestd.output().includes('"msg":"serving"'))
    guestd.child.kill(signal)
    t.same(await guestd.ended, { code: 0, signal: null })
    t.match(guestd.output(), /"msg":"the session is stopped"[\s\S]*"msg":"stopped"/)
  })
}

t.test(
  "V8's profiler keeps its signal: a profile that begins before guestd has samples",
  async t => {
    const SIGPROF = 27n
    const guestd = spawnGuestd(t, { nodeArgs: ['--cpu-prof', `--cpu-prof-dir=${makeScratch(t)}`] })
    await until(() => guestd.output().includes('"msg":"serving"'))
    const isIn = (field: string) =>
      (BigInt(`0x${statusField(guestd.pid, field)}`) >> (SIGPROF - 1n)) % 2n === 1n
    t.equal(isIn('SigCgt'), true)
    t.equal(isIn('SigIgn'), false)
    guestd.child.kill('SIGTERM')
    t.equal((await guestd.ended).code, 0)
  },
)

t.test('SIGUSR1 never opens the inspector, at no moment of the start', async t => {
  for (const moment of MOMENTS_MS) {
    const guestd = spawnGuestd(t, { nodeArgs: null })
    await sleep(moment)
    guestd.child.kill('SIGUSR1')
    await until(
      () => guestd.output().includes('"msg":"serving"') || guestd.child.signalCode !== null,
    )
    guestd.child.kill('SIGUSR1')
    guestd.child.kill('SIGTERM')
    const { code, signal } = await guestd.ended
    // Before Node itself has begun the kernel's default counts: nothing is open then.
    t.ok(code === 0 || signal === 'SIGUSR1', `${moment} ms: ${code} ${signal}`)
    t.notMatch(guestd.output(), INSPECTOR, `${moment} ms`)
  }
})

t.test('without the option of Node an inspector that was opened is closed', async t => {
  let opened = 0
  for (const moment of MOMENTS_MS) {
    const guestd = spawnGuestd(t, { nodeArgs: ['--inspect-port=0'] })
    await sleep(moment)
    guestd.child.kill('SIGUSR1')
    await until(
      () => guestd.output().includes('"msg":"serving"') || guestd.child.signalCode !== null,
    )
    const port = INSPECTOR.exec(guestd.output())?.[1]
    if (port !== undefined) {
      opened += 1
      // It is closed a moment after guestd is ready.
      await until(async () => !(await isOpen(Number(port))))
    }
    guestd.child.kill('SIGTERM')
    await guestd.ended
  }
  t.ok(opened > 0, 'the moments meet the time before guestd ignores the signal')
})

async function isOpen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(port, '127.0.0.1')
  socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
  try {
    return await promise
  } finally {
    socket.destroy()
  }
}
