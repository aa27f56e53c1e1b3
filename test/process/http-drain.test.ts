import { existsSync } from 'node:fs'
import { Agent, request } from 'node:http'
import t from 'tap'
import { bytesOf, parseFrames, startGuestd, until } from '../helpers/guestd.ts'
import { connectRaw, parseReply } from '../helpers/raw-http.ts'

/** More than the buffers between guestd and a client hold. */
const BYTES = 4_000_000

t.test(
  'a stop gives a slow reader all its frames, and lets idle connections go at once',
  async t => {
    const guestd = await startGuestd(t)
    const agent = new Agent({ keepAlive: true })
    t.teardown(() => agent.destroy())
    await new Promise(resolve => {
      const { socketPath } = guestd
      request({ socketPath, agent, path: '/healthz' }, reply => {
        reply.resume().once('end', resolve)
      }).end()
    })
    const reply = await guestd.open('POST', '/v1/commands', {
      body: { command: `head -c ${BYTES} /dev/zero | tr '\\0' x; sleep 60` },
    })
    await new Promise(resolve => setTimeout(resolve, 300))
    const began = performance.now()
    const stopped = guestd.stop()
    let text = ''
    await new Promise(resolve => setTimeout(resolve, 300))
    for await (const chunk of reply.setEncoding('utf8')) text += chunk
    t.equal(await stopped, 0)
    t.ok(performance.now() - began < 2_000)
    const frames = parseFrames(text)
    const { length } = bytesOf(frames, 'stdout')
    t.ok(length > 0)
    // bash may write that its child was terminated.
    const stderrBytes = bytesOf(frames, 'stderr').length
    const cursor = length + stderrBytes
    t.match(
      frames.find(frame => frame.type === 'exit'),
      { cause: 'stopped' },
    )
    t.match(frames.at(-1), { type: 'end', stdoutBytes: length, stderrBytes, truncated: 0, cursor })
    t.notOk(existsSync(guestd.socketPath))
  },
)

t.test('while commands take their grace guestd answers, and takes no more', async t => {
  const guestd = await startGuestd(t, { config: { killGraceMs: 1_000 } })
  await guestd.request('POST', '/v1/commands', {
    body: {
      id: 'stubborn',
      command: "trap '' TERM; echo armed; while :; do sleep 0.1; done",
      detach: true,
    },
  })
  const inspect = () => guestd.request('GET', '/v1/commands/stubborn')
  await until(async () => (await inspect()).json().stdoutBytes === 6)
  const { pid } = guestd
  process.kill(pid, 'SIGTERM')
  await until(async () => (await guestd.request('GET', '/readyz')).status === 503)
  t.same((await guestd.request('GET', '/readyz')).json(), {
    ready: false,
    reasons: [{ code: 'stopping', message: 'guestd is stopping' }],
  })
  t.match((await guestd.request('GET', '/v1/session')).json(), { state: 'stopping' })
  t.equal((await guestd.request('GET', '/healthz')).status, 200)
  const refused = await guestd.request('POST', '/v1/commands', { body: { command: 'true' } })
  t.match(refused.json(), { status: 503, code: 'stopping' })
  t.equal((await inspect()).status, 200)
  t.equal(await guestd.stop(), 0)
})

t.test('a client that takes nothing is let go at the limit', async t => {
  const guestd = await startGuestd(t)
  const connection = await connectRaw(guestd.socketPath)
  connection.socket.pause()
  const body = JSON.stringify({ command: `head -c ${BYTES} /dev/zero`, id: 'stalled' })
  connection.write(
    `POST /v1/commands HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  // Six times as many on the wire: more than the buffers hold.
  await until(async () => {
    const { stdoutBytes } = (await guestd.request('GET', '/v1/commands/stalled')).json()
    return Number(stdoutBytes) > BYTES / 40
  })
  const began = performance.now()
  t.equal(await guestd.stop(), 0)
  t.ok(performance.now() - began < 8_000)
  connection.socket.resume()
  const text = await connection.closed()
  t.equal(parseReply(text).status, 200)
  t.notMatch(text, /"type":"end"/)
})
