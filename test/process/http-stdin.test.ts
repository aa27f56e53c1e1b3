import { once } from 'node:events'
import t from 'tap'
import { bytesOf, parseFrames, startGuestd, until } from '../helpers/guestd.ts'
import { connectRaw, parseReply } from '../helpers/raw-http.ts'

/** Shorter than the bodies below take: they bind headers and JSON, not standard input. */
const LIMIT_MS = 200

const guestd = await startGuestd(t, {
  config: { headersTimeoutMs: LIMIT_MS, bodyTimeoutMs: LIMIT_MS },
})

/** Starts a command that reads, and collects its frames. */
async function start(id: string, command: string, stdin = 'open') {
  const reply = await guestd.open('POST', '/v1/commands', { body: { id, command, stdin } })
  let text = ''
  reply.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  const ended = once(reply, 'end')
  await until(() => text.includes('"type":"start"'))
  return {
    stdout: () =>
      bytesOf(parseFrames(text.slice(0, text.lastIndexOf('\n') + 1)), 'stdout').toString(),
    ended,
  }
}

const send = (id: string, query: string, body: string | Uint8Array, headers = {}) =>
  guestd.request('POST', `/v1/commands/${id}/stdin${query}`, { body, headers })

t.test('bodies of any type are taken as they are, one after the other', async t => {
  const command = await start('types', 'cat')
  const types = ['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'x/y; z=1']
  let accepted = 0
  for (const type of types) {
    const reply = await send('types', '', '{"a":', { 'content-type': type })
    accepted += 5
    t.same(reply.json(), { acceptedBytes: accepted }, type)
  }
  t.same((await send('types', '', '!')).json(), { acceptedBytes: accepted + 1 })
  t.same((await send('types', '?eof=true', '')).json(), { acceptedBytes: accepted + 1 })
  await command.ended
  t.equal(command.stdout(), `${'{"a":'.repeat(types.length)}!`)
})

t.test(
  'a body reaches the command while it is still being sent, and may take its time',
  async t => {
    const command = await start('live', 'cat')
    const connection = await connectRaw(guestd.socketPath)
    connection.write(
      'POST /v1/commands/live/stdin?eof=true HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n',
    )
    for (const word of ['one ', 'two ', 'three ']) {
      connection.write(`${word.length.toString(16)}\r\n${word}\r\n`)
      await until(() => command.stdout().endsWith(word))
      await new Promise(resolve => setTimeout(resolve, 2 * LIMIT_MS))
    }
    connection.write('0\r\n\r\n')
    t.match(await connection.closed(), /\{"acceptedBytes":14\}/)
    await command.ended
    t.equal(command.stdout(), 'one two three ')
  },
)

t.test('what is sent again is not written again', async t => {
  const command = await start('again', 'cat')
  t.same((await send('again', '?offset=0', 'abcd')).json(), { acceptedBytes: 4 })
  t.same((await send('again', '?offset=0', 'abcd')).json(), { acceptedBytes: 4 })
  t.same((await send('again', '?offset=2', 'cdef')).json(), { acceptedBytes: 6 })
  const ahead = await send('again', '?offset=7', 'x')
  t.match(ahead.json(), { status: 416, code: 'offset_out_of_range', field: 'offset' })
  await send('again', '?eof=true', '')
  await command.ended
  t.equal(command.stdout(), 'abcdef')
})

t.test('after a body that was cut off the writer goes on where it was', async t => {
  const command = await start('cut', 'cat')
  const connection = await connectRaw(guestd.socketPath)
  connection.write(
    'POST /v1/commands/cut/stdin?eof=true HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc',
  )
  await until(() => command.stdout() === 'abc')
  connection.socket.destroy()
  t.same((await send('cut', '?offset=0&eof=true', 'abcdef')).json(), { acceptedBytes: 6 })
  await command.ended
  t.equal(command.stdout(), 'abcdef')
})

t.test('a reader that is gone is a clear answer, and does not wedge the connection', async t => {
  await start('gone', 'exec <&-; sleep 60')
  const connection = await connectRaw(guestd.socketPath)
  connection.write('POST /v1/commands/gone/stdin HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n')
  const flood = setInterval(() => connection.write(`10000\r\n${'x'.repeat(0x10000)}\r\n`), 5)
  const reply = parseReply(await connection.closed())
  clearInterval(flood)
  t.equal(reply.status, 409)
  t.match(reply.body, /"code":"stdin_closed"/)
  await guestd.request('DELETE', '/v1/commands/gone')
})

t.test('a command that has no standard input refuses it', async t => {
  await start('none', 'sleep 60', 'null')
  t.match((await send('none', '', 'x')).json(), { status: 409, code: 'stdin_closed' })
  await guestd.request('DELETE', '/v1/commands/none')
})

t.test('writers take turns, each body in one piece', async t => {
  const command = await start('turns', 'cat')
  const bodies = ['a', 'b', 'c', 'd'].map(letter => letter.repeat(300_000))
  await Promise.all(bodies.map(body => send('turns', '', body)))
  await send('turns', '?eof=true', '')
  await command.ended
  const pieces = command.stdout().match(/a+|b+|c+|d+/g) ?? []
  t.same(
    pieces.map(piece => piece.length),
    [300_000, 300_000, 300_000, 300_000],
  )
})

t.test('a writer that waits for a command is let go when the command ends', async t => {
  await start('full', 'sleep 0.5')
  const reply = await send('full', '', Buffer.alloc(10 * 1024 * 1024))
  t.match(reply.json(), { status: 409, code: 'stdin_closed' })
})
