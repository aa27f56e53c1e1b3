import { readdirSync } from 'node:fs'
import t, { type Test } from 'tap'
import { startGuestd, until } from '../helpers/guestd.ts'
import { connectRaw, parseReply, type RawConnection } from '../helpers/raw-http.ts'

const HEADERS_MS = 600
const BODY_MS = 500
const MAX_CONNECTIONS = 1_024

const guestd = await startGuestd(t, {
  config: {
    headersTimeoutMs: HEADERS_MS,
    bodyTimeoutMs: BODY_MS,
    maxConnections: MAX_CONNECTIONS,
  },
})

const descriptors = () => readdirSync(`/proc/${guestd.pid}/fd`).length
const running = async () => (await guestd.request('GET', '/v1/commands')).json().commands

/** What a problem that ends a connection has in common with the others. */
function checkProblem(t: Test, text: string, status: number, code: string): void {
  const reply = parseReply(text)
  t.equal(reply.status, status, text)
  t.match(reply.header, /content-type: application\/problem\+json/i)
  t.match(reply.header, /guestd-version: /i)
  t.match(reply.header, /connection: close/i)
  t.match(JSON.parse(reply.body), { code, status })
}

await guestd.request('GET', '/healthz')
const before = descriptors()

for (const [title, bytes, status, code] of [
  ['what is no HTTP', 'hello\r\n\r\n', 400, 'invalid_request'],
  ['a TLS greeting', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'invalid_request'],
  ['a header field without a colon', 'GET / HTTP/1.1\r\nHost\r\n\r\n', 400, 'invalid_request'],
  ['a version of HTTP that is none', 'GET / HTTP/9.9\r\n\r\n', 400, 'invalid_request'],
  [
    'two lengths that differ',
    'POST /v1/commands HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    400,
    'invalid_request',
  ],
  [
    'a length beside chunks, which smuggles requests',
    'POST /v1/commands HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
    'invalid_request',
  ],
  [
    'a header longer than 16 KiB',
    `GET / HTTP/1.1\r\nX: ${'a'.repeat(17 * 1024)}\r\n\r\n`,
    431,
    'headers_too_large',
  ],
  [
    'a broken chunk in a body',
    'POST /v1/commands HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"com\r\nZZ\r\n',
    400,
    'invalid_request',
  ],
] as const) {
  t.test(`${title} is ${status} ${code}, and the connection is closed`, async t => {
    const connection = await connectRaw(guestd.socketPath)
    connection.write(bytes)
    checkProblem(t, await connection.closed(), status, code)
  })
}

t.test('a request without a Host is served', async t => {
  const connection = await connectRaw(guestd.socketPath)
  connection.write('GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n')
  t.equal(parseReply(await connection.closed()).status, 200)
})

t.test('a header that trickles in is 408 at the limit', async t => {
  const connection = await connectRaw(guestd.socketPath)
  const began = performance.now()
  connection.write('GET /healthz HTTP/1.1\r\n')
  const trickle = setInterval(() => connection.write('X: y\r\n'), 50)
  checkProblem(t, await connection.closed(), 408, 'request_timeout')
  clearInterval(trickle)
  t.ok(performance.now() - began >= HEADERS_MS - 1)
})

t.test('a connection that never says anything is closed at the limit', async t => {
  const connection = await connectRaw(guestd.socketPath)
  checkProblem(t, await connection.closed(), 408, 'request_timeout')
})

t.test('a JSON body that trickles in is 408 at its limit', async t => {
  const connection = await connectRaw(guestd.socketPath)
  connection.write(
    'POST /v1/commands HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{',
  )
  const trickle = setInterval(() => connection.write(' '), 50)
  checkProblem(t, await connection.closed(), 408, 'request_timeout')
  clearInterval(trickle)
})

t.test('a body that is cut off starts nothing', async t => {
  for (const head of [
    'Content-Length: 1000\r\n\r\n{"command":"sleep 60"}',
    'Transfer-Encoding: chunked\r\n\r\n16\r\n{"command":"sleep 60"}\r\n',
  ]) {
    const connection = await connectRaw(guestd.socketPath)
    connection.write(`POST /v1/commands HTTP/1.1\r\nContent-Type: application/json\r\n${head}`)
    await new Promise(resolve => setTimeout(resolve, 50))
    connection.socket.destroy()
  }
  await new Promise(resolve => setTimeout(resolve, 100))
  t.same(await running(), [])
})

t.test('a body that is not read does not block its connection', async t => {
  const connection = await connectRaw(guestd.socketPath)
  connection.write('POST /v1/nope HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n')
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
  const flood = setInterval(() => connection.write(chunk), 5)
  const text = await connection.closed()
  clearInterval(flood)
  t.equal(parseReply(text).status, 404)
})

t.test('a body that a reply came before can end, and the connection goes on', async t => {
  const connection = await connectRaw(guestd.socketPath)
  connection.write('POST /v1/nope HTTP/1.1\r\nContent-Length: 4\r\n\r\nab')
  await until(() => connection.text().includes('not_found'))
  connection.write('cdGET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n')
  t.match(await connection.closed(), /not_found[\s\S]*HTTP\/1\.1 200 OK[\s\S]*alive/)
})

t.test('requests that come together are answered in their order', async t => {
  const connection = await connectRaw(guestd.socketPath)
  connection.write(
    'GET /healthz HTTP/1.1\r\n\r\nGET /nope HTTP/1.1\r\n\r\nGET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n',
  )
  t.match(await connection.closed(), /alive[\s\S]*not_found[\s\S]*reasons/)
})

t.test('with 1,000 idle connections guestd answers, and is rid of them at the limit', async t => {
  const idle: RawConnection[] = []
  for (let count = 0; count < 1_000; count += 1) idle.push(await connectRaw(guestd.socketPath))
  t.equal((await guestd.request('GET', '/healthz')).status, 200)
  await Promise.all(idle.map(one => one.closed()))
  t.equal((await guestd.request('GET', '/healthz')).status, 200)
})

t.test('connections over the limit are closed at once, and those within are served', async t => {
  const open: RawConnection[] = []
  const part = 'GET /healthz HTTP/1.1\r\n'
  for (let count = 0; count < MAX_CONNECTIONS; count += 1) {
    open.push(await connectRaw(guestd.socketPath))
  }
  const refused = await connectRaw(guestd.socketPath)
  refused.write(part)
  t.equal(await refused.closed(), '')
  const first = open[0]
  first?.write(`${part}Connection: close\r\n\r\n`)
  t.match(await first?.closed(), /HTTP\/1\.1 200 OK/)
  for (const one of open) one.socket.destroy()
})

t.test('nothing is left of them', async t => {
  await until(() => descriptors() <= before)
  t.same(await running(), [])
  t.notMatch(guestd.log(), /"level":"(error|fatal)"/)
})
