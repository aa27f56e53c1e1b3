import { statSync } from 'node:fs'
import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { run } from '../../helpers/guestd.ts'
import { otherId, startForOther } from './support.ts'

const guestd = await startForOther(t)

t.test('a command of another user can open its own output again, by every name', async t => {
  const lines = [
    ['echo one > /dev/stderr', 'stderr', 'one\n'],
    ['echo two | tee /dev/stderr > /dev/null', 'stderr', 'two\n'],
    ['echo three >> /proc/self/fd/1', 'stdout', 'three\n'],
    ['echo four >> /dev/fd/2', 'stderr', 'four\n'],
    ['echo five | tee /dev/stdout > /dev/null', 'stdout', ''],
    ['echo six > /dev/stdout', 'stdout', 'six\n'],
  ] as const
  for (const [command, stream, text] of lines) {
    const outcome = await run(guestd, { command })
    t.equal(outcome.exit.exitCode, 0, outcome.stderr)
    t.equal(outcome[stream], text, command)
  }
})

t.test('a command of another user can open its standard input again', async t => {
  for (const command of [
    'cat < /dev/stdin',
    'cat /proc/self/fd/0',
    `${process.execPath} -e 'process.stdout.write(fs.readFileSync("/dev/stdin"))'`,
  ]) {
    const id = `in-${command.length}`
    const stream = await openRun(guestd, { id, command, stdin: 'open' })
    const path = `/v1/commands/${id}/stdin?eof=true`
    const headers = { 'content-type': 'application/octet-stream' }
    const reply = await guestd.request('POST', path, { headers, body: 'given\n' })
    t.equal(reply.status, 200)
    const frames = await stream.rest()
    t.match(
      frames.find(frame => frame.type === 'output'),
      { stream: 'stdout', text: 'given\n' },
      command,
    )
    t.match(frames.at(-2), { type: 'exit', exitCode: 0 }, command)
  }
})

t.test('without standard input /dev/stdin is empty and stays the device of all', async t => {
  const before = statSync('/dev/null')
  const { exit, stdout, stderr } = await run(guestd, {
    command: 'cat < /dev/stdin; wc -c /dev/stdin',
  })
  t.equal(exit.exitCode, 0, stderr)
  t.equal(stdout, '0 /dev/stdin\n')
  const after = statSync('/dev/null')
  t.same([after.uid, after.gid, after.mode], [before.uid, before.gid, before.mode])
})

t.test('the pipes of a command belong to its user, and to no other', async t => {
  const stream = await openRun(guestd, { argv: ['sleep', '60'], stdin: 'open' })
  t.teardown(() => stream.cut())
  const start = await stream.next()
  for (const fd of [0, 1, 2]) {
    const { uid, gid, mode } = statSync(`/proc/${start?.pid}/fd/${fd}`)
    t.same([uid, gid, mode & 0o777], [otherId('-u'), otherId('-g'), 0o600], `fd ${fd}`)
  }
  const command = `for fd in 0 1 2; do
    true < /proc/${start?.pid}/fd/$fd && echo "read $fd"
    true >> /proc/${start?.pid}/fd/$fd && echo "wrote $fd"
  done`
  const other = await run(guestd, { command, user: 'daemon' })
  t.equal(other.stdout, '')
  t.equal(other.stderr.match(/Permission denied/g)?.length, 6, other.stderr)
})

t.test('the pipes of guestd itself are out of reach', async t => {
  const command = `for fd in /proc/${guestd.pid}/fd/*; do true < $fd && echo "read $fd"; done; ls /proc/${guestd.pid}/fd`
  const { stdout } = await run(guestd, { command })
  t.equal(stdout, '')
})
