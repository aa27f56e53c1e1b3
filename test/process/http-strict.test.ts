import t from 'tap'
import { startGuestd, until } from '../helpers/guestd.ts'
import { connectRaw, parseReply } from '../helpers/raw-http.ts'

const HEADERS_MS = 400

const guestd = await startGuestd(t, {
  config: { keepaliveMs: 100, headersTimeoutMs: HEADERS_MS, maxCommands: 1 },
})

/** All that comes for these bytes until guestd closes the connection. */
async function exchange(bytes: string): Promise<string> {
  const connection = await connectRaw(guestd.socketPath)
  connection.write(bytes)
  return await connection.closed()
}

const line = (method: string, target: string) =>
  `${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`

function post(body: object, headers = ''): string {
  const json = JSON.stringify(body)
  return `POST /v1/commands HTTP/1.1\r\nContent-Type: application/json\r\n${headers}Content-Length: ${json.length}\r\n\r\n${json}`
}

t.test('a body with a Content-Encoding is refused, with identity it is not', async t => {
  const ask = (encoding: string, path = '/v1/commands') =>
    guestd.request('POST', path, {
      headers: { 'content-encoding': encoding },
      body: { command: 'true' },
    })
  for (const encoding of ['gzip', 'br', 'identity, gzip', 'x']) {
    for (const path of ['/v1/commands', '/v1/commands/x/stdin', '/v1/session/flush']) {
      const reply = await ask(encoding, path)
      t.equal(reply.status, 415, `${encoding} ${path}`)
      t.match(reply.json(), { code: 'unsupported_media_type', field: 'content-encoding' })
    }
  }
  t.equal((await ask('Identity')).status, 200)
})

t.test('a summary sends its head at once and white space until it is there', async t => {
  const connection = await connectRaw(guestd.socketPath)
  connection.write(post({ command: 'sleep 0.7; echo hi' }, 'Accept: application/json\r\n'))
  await until(() => connection.text().includes('\r\n\r\n'), 600)
  t.match(connection.text(), /^HTTP\/1\.1 200 OK\r\n/)
  t.match(connection.text(), /^content-type: application\/json/im)
  t.match(connection.text(), /^guestd-command-id: /im)
  t.match(connection.text(), /^x-accel-buffering: no\r$/im)
  t.notMatch(connection.text(), /exitCode/)
  await until(() => connection.text().endsWith('0\r\n\r\n'))
  t.ok((connection.text().match(/^1\r\n \r\n/gm)?.length ?? 0) >= 2, 'white space came')
  connection.socket.destroy()
  const reply = await guestd.request('POST', '/v1/commands', {
    headers: { accept: 'application/json' },
    body: { command: 'sleep 0.3; echo hi' },
  })
  t.match(reply.json(), { exitCode: 0, stdout: 'hi\n' })
  const refused = await guestd.request('POST', '/v1/commands', {
    headers: { accept: 'application/json' },
    body: { command: 'true', cwd: '/nope' },
  })
  t.equal(refused.status, 422, 'what fails before the launch has its status')
})

t.test('no proxy buffers a stream, and 429 says when to come again', async t => {
  const stream = await guestd.open('POST', '/v1/commands', { body: { command: 'sleep 1' } })
  t.equal(stream.headers['x-accel-buffering'], 'no')
  const refused = await guestd.request('POST', '/v1/commands', { body: { command: 'true' } })
  t.equal(refused.status, 429)
  t.equal(refused.headers['retry-after'], '1')
  const events = await guestd.open('GET', '/v1/events')
  t.equal(events.headers['x-accel-buffering'], 'no')
  events.resume()
  for await (const chunk of stream) t.ok(chunk)
})

t.test('garbage or half a header behind a request is no reply to it', async t => {
  for (const behind of ['\x16\x03\x01garbage\r\n\r\n', 'GET /healthz HTTP/1.1\r\nX: ']) {
    for (const accept of ['', 'Accept: application/json\r\n']) {
      const request = post({ command: 'sleep 1; echo done', onDisconnect: 'kill' }, accept)
      const text = await exchange(request + behind)
      t.equal(parseReply(text).status, 200, behind)
      t.match(text, /done/)
      t.match(text, /"cause":"exit"/)
      t.equal(text.match(/HTTP\/1\.1 /g)?.length, 1, 'there is one reply')
    }
  }
})

t.test('garbage behind a call that is not answered yet is no reply to it', async t => {
  const started = await guestd.open('POST', '/v1/commands', {
    body: { id: 'slow', command: "trap '' TERM; sleep 60", onDisconnect: 'kill' },
  })
  const connection = await connectRaw(guestd.socketPath)
  connection.write(`DELETE /v1/commands/slow HTTP/1.1\r\n\r\n\x16garbage\r\n\r\n`)
  const { status, body } = parseReply(await connection.closed())
  t.equal(status, 200)
  t.match(JSON.parse(body), { id: 'slow', empty: true })
  started.destroy()
})

t.test('encoded and absolute paths get the answer of the plain path', async t => {
  for (const path of ['/v1/commands', '/v1/%63ommands', 'http://x/v1/commands']) {
    const found = parseReply(await exchange(line('GET', path)))
    t.equal(found.status, 200, path)
    t.match(JSON.parse(found.body), { commands: Array })
    const wrong = parseReply(await exchange(line('PATCH', path)))
    t.equal(wrong.status, 405, path)
    t.match(wrong.header, /^allow: GET, HEAD, POST\r?$/im)
    t.match(JSON.parse(wrong.body), { code: 'method_not_allowed' })
  }
  for (const path of ['/%zz', '/v1%2fcommands', 'http://x', 'http://x?a=b']) {
    t.match(String(parseReply(await exchange(line('GET', path))).status), /^40[04]$/, path)
  }
})

t.test('CONNECT and Upgrade are answered', async t => {
  const connect = parseReply(await exchange('CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n'))
  t.equal(connect.status, 405)
  t.match(connect.header, /^allow: /im)
  t.match(JSON.parse(connect.body), { code: 'method_not_allowed' })
  const upgrade =
    'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n'
  t.equal(parseReply(await exchange(upgrade)).status, 200, 'an upgrade is optional: it is ignored')
})

t.test('what no route reads is refused on every route', async t => {
  for (const path of [
    '/healthz',
    '/readyz',
    '/openapi.json',
    '/v1/session',
    '/v1/session/largest',
    '/v1/events',
    '/v1/commands',
    '/v1/commands/x',
    '/v1/commands/x/output',
  ]) {
    const reply = await guestd.request('GET', `${path}?nope=1`)
    t.equal(reply.status, 400, path)
    t.match(reply.json(), { code: 'invalid_request', field: 'nope' })
    const withBody = await guestd.request('GET', path, {
      headers: { 'content-length': 2 },
      body: '{}',
    })
    t.equal(withBody.status, 400, `${path} with a body`)
  }
  for (const [method, path] of [
    ['POST', '/v1/commands'],
    ['POST', '/v1/session/flush'],
    ['POST', '/v1/session/stop'],
    ['PUT', '/v1/session'],
    ['DELETE', '/v1/commands/x'],
    ['POST', '/v1/commands/x/signal'],
  ] as const) {
    const query = await guestd.request(method, `${path}?nope=1`, {
      headers: { 'content-length': 2 },
      body: {},
    })
    t.equal(query.status, 400, `${method} ${path}`)
    const reply = await guestd.request(method, path, {
      headers: { 'content-length': 10 },
      body: { nope: 1 },
    })
    t.equal(reply.status, 400, `${method} ${path}`)
    t.match(reply.json(), { code: 'invalid_request', field: 'nope' })
  }
  t.equal((await guestd.request('GET', '/v1/session')).json().state, 'ready')
})
