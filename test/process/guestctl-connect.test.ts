import { writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startFakeGuest } from '../helpers/fake-guest.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { startGuestd } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'

/** Every command reports it in the same words; `run` and `status` reach it by different code. */
async function complaints(t: Test, connect: string, expected: RegExp) {
  for (const args of [['run', '--', 'true'], ['status']]) {
    const { code, out, err } = await guestctl(args, { connect })
    t.equal(code, 125, `${args[0]}: exit code`)
    t.equal(out, '')
    t.match(err, expected)
    t.equal(err.split('\n').length, 2, 'one line')
  }
}

async function listen(t: Test, onConnection: (socket: net.Socket) => void): Promise<string> {
  const path = join(makeScratch(t), 's')
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    onConnection(socket)
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  t.teardown(() => new Promise(resolve => server.close(resolve)))
  return path
}

t.test('no address', async t => {
  t.match(await guestctl(['ps']), {
    code: 125,
    err: "guestctl: where is guestd? Give --connect URI or set GUESTCTL_CONNECT: unix:PATH, firecracker:UDS_PATH:PORT, vsock:CID:PORT or tcp:HOST:PORT\nSee 'guestctl ps --help'.\n",
  })
})

t.test('what is not an address', async t => {
  await complaints(
    t,
    '/run/guestd.sock',
    /'\/run\/guestd.sock' is not an address .*: give unix:PATH/,
  )
})

t.test('no socket there', async t => {
  const path = join(makeScratch(t), 'none')
  await complaints(t, `unix:${path}`, /there is no socket at .*none .*: start guestd/)
})

t.test('nothing listens', async t => {
  const path = join(makeScratch(t), 's')
  writeFileSync(path, '')
  await complaints(t, `unix:${path}`, /nothing listens at .*: guestd has ended or has not started/)
})

t.test('no listener in the guest', async t => {
  const path = await listen(t, socket => socket.once('data', () => socket.end()))
  const expected =
    /nothing in the guest listens at firecracker:.*:1023: wait until guestd has started/
  await complaints(t, `firecracker:${path}:1023`, expected)
})

t.test('the socket of a VM taken for that of guestd', async t => {
  // What reads the first line for its CONNECT and finds none, and what closes before it reads.
  const ways = [
    (socket: net.Socket) => void socket.once('data', () => socket.end()),
    (socket: net.Socket) => void socket.destroy(),
  ]
  for (const way of ways) {
    const path = await listen(t, way)
    await complaints(
      t,
      `unix:${path}`,
      new RegExp(
        `the connection to unix:${path} was lost .*vsock device, the address is firecracker:${path}:1023`,
      ),
    )
  }
})

t.test('a socket of something else', async t => {
  const path = await listen(t, socket => {
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'))
  })
  await complaints(
    t,
    `unix:${path}`,
    /what answers at unix:.* is not guestd .*: correct the address/,
  )
})

t.test('a guestd of another version', async t => {
  const path = join(makeScratch(t), 's')
  const guest = await startFakeGuest({
    listen: { path },
    intercept: (_request, response) => {
      response.setHeader('guestd-version', '9.0.0')
      response.writeHead(404, { 'content-type': 'application/problem+json' })
      response.end(JSON.stringify({ code: 'not_found', detail: 'no', status: 404, title: 'x' }))
      return true
    },
  })
  t.teardown(() => guest.close())
  await complaints(
    t,
    `unix:${path}`,
    /speaks another version of the API .*9\.0\.0.*: use the guestctl/,
  )
})

t.test('the address is taken before and after the command, over the environment', async t => {
  const guestd = await startGuestd(t)
  const options = { connect: 'unix:/nowhere' }
  t.match(await guestctl(['--connect', guestd.connect, 'status'], options), { code: 0 })
  t.match(await guestctl(['status', `--connect=${guestd.connect}`], options), { code: 0 })
  t.match(await guestctl(['run', '--connect', guestd.connect, '--', 'exit 3'], options), {
    code: 3,
  })
})
