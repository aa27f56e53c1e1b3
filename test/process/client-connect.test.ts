import { writeFileSync } from 'node:fs'
import http from 'node:http'
import net, { type Server } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { dial } from '../../src/client/dial.ts'
import { createClient } from '../../src/client/index.ts'
import { startFakeGuest } from '../helpers/fake-guest.ts'
import { startGuestd, until } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'

async function serve(t: Test, path: string, server: Server): Promise<string> {
  const open = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => {
    open.add(socket)
    socket.on('error', () => {})
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return path
}

/** A peer that handles the first bytes of each connection as given. */
const peer = (onData: (socket: net.Socket, data: Buffer) => void) =>
  net.createServer(socket => {
    socket.once('data', data => onData(socket, data))
  })

t.test('no socket at the path is no_socket', async t => {
  const client = createClient({ connect: `unix:${makeScratch(t)}/none` })
  await t.rejects(client.session(), { name: 'ConnectError', code: 'no_socket' })
})

t.test('a socket without a listener is refused', async t => {
  const path = join(makeScratch(t), 's')
  writeFileSync(path, '')
  await t.rejects(createClient({ connect: `unix:${path}` }).session(), { code: 'refused' })
  await t.rejects(createClient({ connect: 'tcp:127.0.0.1:1' }).session(), { code: 'refused' })
})

t.test('guestd is reached through tcp and through the handshake of Firecracker', async t => {
  const scratch = makeScratch(t)
  const guest = await startFakeGuest({ listen: { host: '127.0.0.1', port: 0 } })
  t.teardown(() => guest.close())
  const vmm = peer((socket, data) => {
    t.equal(data.toString(), 'CONNECT 1023\n')
    const target = net.connect(guest.port, '127.0.0.1')
    // In two pieces, as a slow device may write it.
    socket.write('OK 10')
    setTimeout(() => {
      socket.write('73741824\n')
      socket.pipe(target).pipe(socket)
    }, 20)
  })
  const path = await serve(t, join(scratch, 'v'), vmm)
  for (const connect of [`tcp:127.0.0.1:${guest.port}`, `firecracker:${path}:1023`]) {
    const client = createClient({ connect })
    const result = await client.run({ command: 'true' }).collect()
    t.match(result, { exitCode: 0, cause: 'exit' }, connect)
    client.close()
  }
})

t.test('bytes behind the handshake stay in the socket', async t => {
  const vmm = peer(socket => socket.end('OK 7\nthe rest'))
  const path = await serve(t, join(makeScratch(t), 'v'), vmm)
  const socket = await dial({ kind: 'firecracker', path, port: 1023 }, 1_000)
  let rest = ''
  for await (const chunk of socket) rest += chunk
  t.equal(rest, 'the rest')
})

t.test('a port of the guest without a listener is no_guest_listener', async t => {
  const path = await serve(
    t,
    join(makeScratch(t), 'v'),
    peer(socket => socket.end()),
  )
  await t.rejects(createClient({ connect: `firecracker:${path}:1023` }).session(), {
    code: 'no_guest_listener',
    message: /wait until guestd has started/,
  })
})

t.test('a guest that never answers the handshake is a timeout', async t => {
  const path = await serve(
    t,
    join(makeScratch(t), 'v'),
    peer(() => {}),
  )
  const client = createClient({ connect: `firecracker:${path}:1023`, connectTimeoutMs: 50 })
  await t.rejects(client.session(), { code: 'timeout', message: /50 ms/ })
})

t.test('an invalid answer to the handshake is a wrong socket', async t => {
  const web = peer(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const path = await serve(t, join(makeScratch(t), 's'), web)
  await t.rejects(createClient({ connect: `firecracker:${path}:1023` }).session(), {
    code: 'wrong_socket',
    message: /it answered "HTTP\/1.1 400 Bad Request" to CONNECT/,
  })
})

t.test('the handshake said to an HTTP server that waits for more says what to try', async t => {
  const path = join(makeScratch(t), 's')
  const guest = await startFakeGuest({ listen: { path } })
  t.teardown(() => guest.close())
  const client = createClient({ connect: `firecracker:${path}:1023`, connectTimeoutMs: 100 })
  await t.rejects(client.session(), { code: 'timeout', message: /own socket is unix:PATH/ })
})

t.test('an endless answer to the handshake is cut off', async t => {
  const vmm = peer(socket => socket.write('OK '.padEnd(100_000, '1')))
  const path = await serve(t, join(makeScratch(t), 'v'), vmm)
  await t.rejects(createClient({ connect: `firecracker:${path}:1023` }).session(), {
    code: 'wrong_socket',
  })
})

t.test('HTTP without a Guestd-Version is a wrong socket', async t => {
  const web = http.createServer((_request, response) => response.end('{}'))
  const path = await serve(t, join(makeScratch(t), 's'), web)
  const client = createClient({ connect: `unix:${path}` })
  await t.rejects(client.session(), { code: 'wrong_socket' })
  await t.rejects(client.run({ command: 'true' }).collect(), { code: 'wrong_socket' })
})

t.test('a peer that does not speak HTTP is a wrong socket', async t => {
  const path = await serve(
    t,
    join(makeScratch(t), 's'),
    peer(socket => socket.write('SSH-2.0-OpenSSH\r\n')),
  )
  await t.rejects(createClient({ connect: `unix:${path}` }).session(), { code: 'wrong_socket' })
})

t.test('a peer that hangs up on everything is given up after two seconds', async t => {
  const path = await serve(
    t,
    join(makeScratch(t), 's'),
    peer(socket => socket.destroy()),
  )
  const started = performance.now()
  await t.rejects(
    createClient({ connect: `unix:${path}` })
      .run({ command: 'true' })
      .collect(),
    {
      code: 'lost',
    },
  )
  t.ok(performance.now() - started < 5_000)
})

t.test('a guestd of another API is a version mismatch', async t => {
  const path = join(makeScratch(t), 's')
  const guest = await startFakeGuest({
    listen: { path },
    intercept: (request, response) => {
      response.setHeader('guestd-version', '9.0.0')
      const isSession = request.url === '/v1/session'
      response.writeHead(isSession ? 200 : 404, { 'content-type': 'application/json' })
      const problem = { type: 'about:blank', title: 'x', status: 404, code: 'not_found' }
      response.end(JSON.stringify(isSession ? { version: '9.0.0', apiVersion: '9' } : problem))
      return true
    },
  })
  t.teardown(() => guest.close())
  const client = createClient({ connect: `unix:${path}` })
  await t.rejects(client.session(), {
    code: 'version_mismatch',
    message: /guestd 9.0.0 has API version 9, this client 1/,
  })
  await t.rejects(client.run({ command: 'true' }).collect(), {
    code: 'version_mismatch',
    message: /guestd 9.0.0 answered HTTP 404/,
  })
  client.close()
})

t.test('a stop begins at the call, and yields its steps from the first', async t => {
  const guestd = await startGuestd(t)
  const guest = createClient({ connect: guestd.connect })
  t.teardown(() => guest.close())
  const stop = guest.stop()
  await until(async () => (await guest.session()).state === 'stopped')
  const receipt = await stop
  t.match(receipt, { type: 'receipt', clean: true, reason: 'request' })
  for (const again of [stop, guest.stop()]) {
    const frames = []
    for await (const frame of again) frames.push(frame)
    t.match(frames[0], { type: 'step', name: 'commands', state: 'started' })
    t.same(frames.at(-1), receipt)
  }
})

t.test('a stop that cannot be asked for rejects, and throws where it is iterated', async t => {
  const guest = createClient({ connect: `unix:${join(makeScratch(t), 'none.sock')}` })
  t.teardown(() => guest.close())
  const stop = guest.stop()
  await t.rejects(stop, { code: 'no_socket' })
  await t.rejects(stop[Symbol.asyncIterator]().next(), { code: 'no_socket' })
})
