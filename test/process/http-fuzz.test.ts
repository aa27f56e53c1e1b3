import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { startGuestd, until } from '../helpers/guestd.ts'
import { connectRaw } from '../helpers/raw-http.ts'

const RUNS = 400
/** Within this time of a cut connection guestd may be at any point of the request, in milliseconds. */
const CUT_MS = 40

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
    length: fc.nat(500),
    again: fc.boolean(),
  })
  .map(({ seed, changes, length, again }) => {
    const bytes = Buffer.from(again ? seed + seed : seed)
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
    return bytes.subarray(0, Math.max(1, length))
  })

/** `null`: guestd answers, and the client reads all of it. Else the client closes after so many milliseconds. */
const closing = fc.oneof(fc.constant(null), fc.nat(CUT_MS))

/** What guestd sends for the bytes, until it closes the connection. */
async function replyTo(bytes: Uint8Array): Promise<string> {
  const connection = await connectRaw(guestd.socketPath)
  connection.write(bytes)
  connection.socket.end()
  return await connection.closed()
}

/** What guestd has sent when the client closes the connection. */
async function replyBeforeCut(bytes: Uint8Array, afterMs: number): Promise<string> {
  const connection = await connectRaw(guestd.socketPath)
  connection.write(bytes)
  await new Promise(resolve => setTimeout(resolve, afterMs))
  connection.socket.destroy()
  return connection.text()
}

/** Empty lines before a request are skipped (RFC 9112, 2.2), so they alone are no request. */
const isBlank = (bytes: Uint8Array) => /^[\r\n]*$/.test(Buffer.from(bytes).toString('latin1'))

/** Interim replies, success, or an error of the client; never one of guestd. */
const HONEST = /^HTTP\/1\.1 (?:100|2\d\d|4\d\d) /

t.test('no request, however broken, makes guestd fail, hang or leak', async t => {
  await guestd.request('GET', '/healthz')
  const before = descriptors()
  await fc.assert(
    fc.asyncProperty(mutated, closing, async (bytes, afterMs) => {
      const isCut = afterMs !== null
      const reply = isCut ? await replyBeforeCut(bytes, afterMs) : await replyTo(bytes)
      if (reply !== '') return HONEST.test(reply)
      return isCut || isBlank(bytes)
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
