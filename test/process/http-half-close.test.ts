import { connect, type Socket } from 'node:net'
import t from 'tap'
import { startGuestd, until } from '../helpers/guestd.ts'
import { parseReply } from '../helpers/raw-http.ts'

const guestd = await startGuestd(t, {
  config: {
    // Not before the test is over: what is noticed here is noticed without a keepalive.
    keepaliveMs: 60_000,
    allowUnauthenticated: true,
  },
})
const tcp = await startGuestd(t, {
  config: { listen: ['tcp:127.0.0.1:0'], allowUnauthenticated: true, keepaliveMs: 60_000 },
})
const port = Number([...tcp.log().matchAll(/"tcp:127\.0\.0\.1:(\d+)"/g)].at(-1)?.[1])

function post(body: object, headers = ''): string {
  const json = JSON.stringify(body)
  return `POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${headers}Content-Length: ${json.length}\r\n\r\n${json}`
}

interface Client {
  readonly socket: Socket
  readonly text: () => string
  readonly closed: Promise<void>
}

/** A client that may end its sending side and goes on reading, as `nc -N` does. */
function open(where: { path: string } | { port: number; host: string }): Client {
  const socket = connect({ ...where, allowHalfOpen: true })
  let received = ''
  socket.setEncoding('utf8').on('data', (text: string) => {
    received += text
  })
  socket.on('error', () => {})
  const closed = new Promise<void>(resolve => {
    socket.once('end', () => resolve()).once('close', () => resolve())
  })
  return { socket, text: () => received, closed }
}

const listeners = [
  ['a Unix socket', { path: guestd.socketPath }],
  ['TCP', { port, host: '127.0.0.1' }],
] as const

for (const [name, where] of listeners) {
  t.test(`over ${name} a client that half-closes after its request gets its reply`, async t => {
    for (const accept of ['', 'Accept: application/json\r\n', 'Accept: text/event-stream\r\n']) {
      const client = open(where)
      client.socket.end(post({ command: 'sleep 0.6; echo done', onDisconnect: 'kill' }, accept))
      await client.closed
      const { status, body } = parseReply(client.text())
      t.equal(status, 200)
      t.match(body, /done/)
      t.match(body, /"cause":"exit"/)
      t.notMatch(body, /disconnected/)
      client.socket.destroy()
    }
    const client = open(where)
    client.socket.end('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await client.closed
    t.match(client.text(), /alive/)
    client.socket.destroy()
  })

  t.test(`over ${name} a client that closes is a disconnect, after its EOF too`, async t => {
    for (const halfCloses of [false, true]) {
      const client = open(where)
      client.socket.write(post({ command: 'echo up; sleep 60', onDisconnect: 'kill' }))
      await until(() => client.text().includes('"text":"up\\n"'))
      if (halfCloses) {
        client.socket.end()
        await new Promise(resolve => setTimeout(resolve, 400))
        t.notMatch(client.text(), /"type":"exit"/, 'the EOF alone ends nothing')
      }
      client.socket.destroy()
      if (halfCloses && 'port' in where) continue
      const of = 'port' in where ? portCauses : unixCauses
      await until(async () => (await of()).includes('disconnected'), 8_000)
    }
  })
}

async function unixCauses(): Promise<string> {
  return (await guestd.request('GET', '/v1/commands?state=ended')).text
}

/** Over TCP, as that guestd has no other listener. */
async function portCauses(): Promise<string> {
  const client = open({ port, host: '127.0.0.1' })
  client.socket.end('GET /v1/commands?state=ended HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await client.closed
  client.socket.destroy()
  return client.text()
}

t.test('a client that resets its connection is a disconnect', async t => {
  const client = open({ port, host: '127.0.0.1' })
  client.socket.write(post({ id: 'reset', command: 'echo up; sleep 60', onDisconnect: 'kill' }))
  await until(() => client.text().includes('"text":"up\\n"'))
  client.socket.resetAndDestroy()
  await until(async () => /"id":"reset"[^}]*"cause":"disconnected"/.test(await portCauses()), 8_000)
  t.pass()
})

t.test('a request that is cut in its body starts nothing', async t => {
  const client = open({ path: guestd.socketPath })
  const request = post({ id: 'half', command: 'true' })
  client.socket.end(request.slice(0, -5))
  await client.closed
  t.equal(parseReply(client.text()).status, 400)
  t.equal((await guestd.request('GET', '/v1/commands/half')).status, 404)
  client.socket.destroy()
})
