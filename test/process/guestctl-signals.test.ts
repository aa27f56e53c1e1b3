import t from 'tap'
import { startGuestctl } from '../helpers/guestctl.ts'
import { startGuestd, until } from '../helpers/guestd.ts'

const guestd = await startGuestd(t)
const { connect } = guestd
const start = (script: string, ...args: string[]) =>
  startGuestctl(['run', ...args, '--', script], { connect })

t.test('Ctrl-C goes to the command, and its code comes back', async t => {
  const plain = start('echo on; sleep 60; echo never')
  await plain.untilOutput('on')
  plain.child.kill('SIGINT')
  t.match(await plain.ended, { code: 130, out: 'on\n', err: '' })

  const trapping = start('trap "echo got; exit 7" INT; echo on; while :; do sleep 0.1; done')
  await trapping.untilOutput('on')
  trapping.child.kill('SIGINT')
  t.match(await trapping.ended, { code: 7, out: 'on\ngot\n', err: '' })
})

t.test('the whole process group gets it, as from a terminal', async t => {
  const script =
    '(trap "echo child >&2; exit" INT; echo on; while :; do sleep 0.1; done); echo after'
  const running = start(`trap : INT; ${script}`)
  await running.untilOutput('on')
  running.child.kill('SIGINT')
  t.match(await running.ended, { code: 0, out: 'on\nafter\n', err: 'child\n' })
})

t.test('a second Ctrl-C kills what ignores the first', async t => {
  const running = start('trap "" INT; echo on; while :; do sleep 0.1; done', '--id', 'stubborn')
  await running.untilOutput('on')
  running.child.kill('SIGINT')
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(running.child.exitCode, null)
  running.child.kill('SIGINT')
  t.match(await running.ended, { code: 137, err: 'guestctl: the command was killed\n' })
  t.match((await guestd.request('GET', '/v1/commands/stubborn')).json(), { cause: 'killed' })
})

t.test('SIGTERM, SIGHUP and SIGQUIT are forwarded too', async t => {
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) {
    const trap = `trap "echo ${signal}; exit 9" ${signal}`
    const running = start(`${trap}; echo on; while :; do sleep 0.1; done`)
    await running.untilOutput('on')
    running.child.kill(signal)
    t.match(await running.ended, { code: 9, out: `on\n${signal}\n` })
  }
})

t.test('Ctrl-C works while the output is not read', async t => {
  const running = startGuestctl(['run', '--id', 'stalled', '--', 'yes'], { connect }, false)
  await until(async () => {
    const reply = await guestd.request('GET', '/v1/commands/stalled')
    return reply.status === 200 && Number(reply.json().stdoutBytes) > 100_000
  })
  running.child.kill('SIGINT')
  await until(
    async () => (await guestd.request('GET', '/v1/commands/stalled')).json().signal === 'SIGINT',
  )
  // It keeps its output for its reader until a signal ends it.
  t.equal(running.child.exitCode, null)
  running.child.kill('SIGINT')
  running.child.kill('SIGINT')
  await new Promise(resolve => setTimeout(resolve, 100))
  running.child.kill('SIGINT')
  t.match(await running.ended, { code: 130 })
})

t.test('a third Ctrl-C leaves a guest that no longer answers', async t => {
  const frozen = await startGuestd(t)
  const running = startGuestctl(['run', '--', 'echo on; sleep 60'], { connect: frozen.connect })
  await running.untilOutput('on')
  process.kill(frozen.pid, 'SIGSTOP')
  t.teardown(() => process.kill(frozen.pid, 'SIGCONT'))
  for (let count = 0; count < 3; count += 1) {
    t.equal(running.child.exitCode, null)
    running.child.kill('SIGINT')
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  t.match(await running.ended, { code: 130 })
  process.kill(frozen.pid, 'SIGCONT')
})
