/** Writers to one standard input: those that give up, and those that go silent. */
import t from 'tap'
import { bytesOf, run, startGuestd, until } from '../helpers/guestd.ts'
import { connectRaw, parseReply } from '../helpers/raw-http.ts'

const SILENCE_MS = 500
/** Longer than a silence may be. */
const WAIT_MS = 3 * SILENCE_MS

const guestd = await startGuestd(t, { config: { stdinSilenceMs: SILENCE_MS } })
const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

async function start(id: string) {
  await guestd.request('POST', '/v1/commands', {
    body: { id, command: 'cat', stdin: 'open', detach: true },
  })
  const frames = async () => (await guestd.request('GET', `/v1/commands/${id}/output`)).frames()
  return {
    stdout: async () => bytesOf(await frames(), 'stdout').toString(),
    hasEnded: async () => (await frames()).some(({ type }) => type === 'exit'),
  }
}

const send = (id: string, query: string, body: string) =>
  guestd.request('POST', `/v1/commands/${id}/stdin${query}`, { body })

/** Begins a body of 100 bytes, and sends only these. */
async function begin(id: string, query: string, bytes: string) {
  const connection = await connectRaw(guestd.socketPath)
  connection.write(`POST /v1/commands/${id}/stdin${query} HTTP/1.1\r\nContent-Length: 100\r\n\r\n`)
  connection.write(bytes)
  return connection
}

t.test('a writer that gives up while it waits writes nothing and closes nothing', async t => {
  const command = await start('gave-up')
  const first = await begin('gave-up', '', 'first')
  await until(async () => (await command.stdout()) === 'first')
  const second = await connectRaw(guestd.socketPath)
  second.write(
    'POST /v1/commands/gave-up/stdin?eof=true HTTP/1.1\r\nContent-Length: 150000\r\n\r\n',
  )
  second.write('s'.repeat(150_000))
  const closing = await connectRaw(guestd.socketPath)
  closing.write('POST /v1/commands/gave-up/stdin?eof=true HTTP/1.1\r\nContent-Length: 0\r\n\r\n')
  await sleep(100)
  second.socket.destroy()
  closing.socket.destroy()
  await sleep(100)
  first.write('-'.repeat(95))
  await until(() => first.text().includes('{"acceptedBytes":100}'))
  t.same((await send('gave-up', '', 'third')).json(), { acceptedBytes: 105 })
  const written = `first${'-'.repeat(95)}third`
  await until(async () => (await command.stdout()).length >= written.length)
  t.equal(await command.stdout(), written)
  t.notOk(await command.hasEnded())
  await send('gave-up', '?eof=true', '')
  await until(command.hasEnded)
  t.notMatch(guestd.log(), /"level":"error"/, 'which is no failure of guestd')
  first.socket.destroy()
})

t.test('a silent writer loses its turn to the writer that names the next offset', async t => {
  const command = await start('silent')
  const silent = await begin('silent', '', 'abc')
  await until(async () => (await command.stdout()) === 'abc')
  t.same((await send('silent', '?offset=3', 'def')).json(), { acceptedBytes: 6 })
  await until(() => silent.text().includes('stdin_taken'))
  const reply = parseReply(silent.text())
  t.equal(reply.status, 409)
  t.match(JSON.parse(reply.body), { code: 'stdin_taken', detail: /at byte 3/ })
  silent.write('-'.repeat(97))
  t.same((await send('silent', '?offset=6&eof=true', '')).json(), { acceptedBytes: 6 })
  await until(command.hasEnded)
  t.equal(await command.stdout(), 'abcdef', 'and writes nothing any more')
  silent.socket.destroy()
})

t.test('it keeps its turn while no writer names the next offset', async t => {
  const command = await start('kept')
  const silent = await begin('kept', '?offset=0', 'abc')
  await until(async () => (await command.stdout()) === 'abc')
  const others = [send('kept', '', 'def'), send('kept', '?offset=0', 'abcdef')]
  await sleep(WAIT_MS)
  t.equal(await command.stdout(), 'abc')
  silent.write('-'.repeat(97))
  await until(() => silent.text().includes('{"acceptedBytes":100}'))
  for (const other of others) t.equal((await other).status, 200)
  const written = `abc${'-'.repeat(97)}def`
  await until(async () => (await command.stdout()).length >= written.length)
  t.equal(await command.stdout(), written)
  await guestd.request('DELETE', '/v1/commands/kept')
  silent.socket.destroy()
})

t.test('a writer that waits for the command to read is not silent', async t => {
  const id = 'unread'
  const body = { id, command: 'sleep 2; wc -c', stdin: 'open' }
  const running = run(guestd, body)
  await until(async () => (await guestd.request('GET', `/v1/commands/${id}`)).status === 200)
  const large = send(id, '?offset=0', 'x'.repeat(400_000))
  await sleep(WAIT_MS)
  t.same((await large).json(), { acceptedBytes: 400_000 })
  await send(id, '?offset=400000&eof=true', '')
  t.equal((await running).stdout, '400000\n')
})

t.test('when the command ends, silent writers and those that wait are let go', async t => {
  const command = await start('over')
  const silent = await begin('over', '', 'abc')
  await until(async () => (await command.stdout()) === 'abc')
  const waits = send('over', '', 'def')
  await sleep(100)
  await guestd.request('DELETE', '/v1/commands/over')
  t.match((await waits).json(), { status: 409, code: 'stdin_closed' })
  await until(() => silent.text().includes('stdin_closed'))
  silent.socket.destroy()
})
