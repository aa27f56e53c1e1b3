/** Standard error in the pipe of standard output: one order over both. */
import t from 'tap'
import { guestctl } from '../../helpers/guestctl.ts'
import { run, startGuestd, until } from '../../helpers/guestd.ts'
import { openFds } from '../../helpers/processes.ts'

const guestd = await startGuestd(t)
const LINES = 300
const script = `for ((i = 0; i < ${LINES}; i++)); do echo out $i; echo err $i >&2; done`
const inOrder = Array.from({ length: LINES }, (_, i) => `out ${i}\nerr ${i}\n`).join('')

t.test(
  'with stderr "stdout" all output is standard output, in the order of the writes',
  async t => {
    const { frames, stdout, end } = await run(guestd, { command: script, stderr: 'stdout' })
    t.equal(stdout, inOrder)
    const streams = frames.filter(({ type }) => type === 'output').map(({ stream }) => stream)
    t.same([...new Set(streams)], ['stdout'])
    t.match(end, { stdoutBytes: inOrder.length, stderrBytes: 0, descendants: 0 })
  },
)

t.test('the merged pipe can be opened again by both of its names', async t => {
  const command = 'echo a > /dev/stderr; echo b > /dev/stdout; echo c >> /proc/self/fd/2'
  const { stdout, stderr } = await run(guestd, { command, stderr: 'stdout' })
  t.same([stdout, stderr], ['a\nb\nc\n', ''])
})

t.test('"separate" is the default', async t => {
  for (const fields of [{}, { stderr: 'separate' }]) {
    const { stdout, stderr } = await run(guestd, { command: 'echo a; echo b >&2', ...fields })
    t.same([stdout, stderr], ['a\n', 'b\n'])
  }
  const reply = await guestd.request('POST', '/v1/commands', {
    body: { command: 'true', stderr: 'null' },
  })
  t.equal(reply.status, 400)
  t.equal(reply.json().field, 'stderr')
})

t.test('commands at once, merged and not, failed and not, mix up no descriptor', async t => {
  const before = openFds(guestd.pid)
  const outcomes = await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      const merged = i % 2 === 0 ? { stderr: 'stdout' } : {}
      if (i % 5 === 0) await run(guestd, { argv: ['/does/not/exist'], ...merged })
      return await run(guestd, { command: `echo out ${i}; echo err ${i} >&2`, ...merged })
    }),
  )
  for (const [i, { stdout, stderr }] of outcomes.entries()) {
    const [out, err] = [`out ${i}\n`, `err ${i}\n`]
    t.same([stdout, stderr], i % 2 === 0 ? [out + err, ''] : [out, err])
  }
  await until(() => openFds(guestd.pid) <= before)
})

t.test('guestctl run --merge prints both to standard output, in order', async t => {
  const { connect } = guestd
  const { code, out, err } = await guestctl(['run', '--merge', '--', script], { connect })
  t.same([code, out, err], [0, inOrder, ''])
})
