import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { startGuestd, until } from '../helpers/guestd.ts'
import { connectRaw } from '../helpers/raw-http.ts'

const RUNS = 400
/** Longer than an honest reply takes, shorter than a test may. */
const REPLY_MS = 40

const guestd = await startGuestd(t, {
  config: { headersTimeoutMs: 300, bodyTimeoutMs: 300 },
})
const descriptors = () => readdirSync(`/proc/${guestd.pid}/fd`).length

/** Honest requests whose commands do nothing, however a byte of them is changed. */
const body = '{"command":"#","env":{"A":"b"},"limits":{"nofile":64},"timeoutMs":500}'
const seeds = [
  `POST /v1/commands HTTP/1.1\r\nContent-Type: application/json\r\nAccept: */*\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  `POST /v1/commands HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  'GET /v1/commands/x/output?cursor=0&follow=true HTTP/1.1\r\nAccept: text/event-stream\r\nLast-Event-ID: 4\r\n\r\n',
  'POST /v1/commands/x/stdin?offset=0&eof=true HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  'DELETE /v1/commands/x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n',
]

/** A seed with some bytes changed, cut off somewhere, some of it twice. */
const mutated = fc
  .record({
    seed: fc.constantFrom(...seeds),
    changes: fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }),
    cut: fc.nat(500),
    again: fc.boolean(),
  })
  .map(({ seed, changes, cut, again }) => {
    const bytes = Buffer.from(again ? seed + seed : seed)
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
    return bytes.subarray(0, Math.max(1, cut))
  })

t.test('no request, however broken, makes guestd fail, hang or leak', async t => {
  await guestd.request('GET', '/healthz')
  const before = descriptors()
  await fc.assert(
    fc.asyncProperty(mutated, async bytes => {
      const connection = await connectRaw(guestd.socketPath)
      connection.write(bytes)
      await new Promise(resolve => setTimeout(resolve, REPLY_MS * Math.random()))
      connection.socket.destroy()
      const reply = connection.text()
      return reply === '' || /^HTTP\/1\.1 (100|[245]\d\d) /.test(reply)
    }),
    { numRuns: RUNS },
  )
  t.equal((await guestd.request('GET', '/healthz')).status, 200)
  await until(async () => {
    const { commands } = (await guestd.request('GET', '/v1/commands?state=running')).json()
    return Array.isArray(commands) && commands.length === 0
  })
  await until(() => descriptors() <= before)
  t.notMatch(guestd.log(), /"level":"(error|fatal)"/)
})
