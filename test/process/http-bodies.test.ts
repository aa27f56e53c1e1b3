import { readFileSync } from 'node:fs'
import t from 'tap'
import { startGuestd, until } from '../helpers/guestd.ts'
import { connectRaw, parseReply, type RawConnection } from '../helpers/raw-http.ts'

const MIB = 1024 * 1024

/** Resident memory in bytes (proc(5), VmRSS). */
function resident(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) * 1024
}

const head = (length: number) =>
  `POST /v1/commands HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`

t.test('unfinished bodies of 60 connections are refused past a budget', async t => {
  const guestd = await startGuestd(t)
  await guestd.request('POST', '/v1/commands', { body: { command: 'true' } })
  const before = resident(guestd.pid)
  const part = Buffer.alloc(7 * MIB, ' ')
  const senders: RawConnection[] = []
  for (let count = 0; count < 60; count += 1) {
    const sender = await connectRaw(guestd.socketPath)
    sender.write(head(8 * MIB))
    sender.write(part)
    senders.push(sender)
  }
  const refused = () => senders.filter(one => parseReply(one.text()).status === 503)
  // Two of them fit into the budget of 16 MiB at most.
  await until(() => refused().length >= 58, 60_000)
  const { header, body } = parseReply(refused()[0]?.text() ?? '')
  t.match(header, /^retry-after: 1$/im)
  t.match(JSON.parse(body), { code: 'overloaded', status: 503 })
  const grown = resident(guestd.pid) - before
  // All that was sent is 420 MiB. Pieces that were read and discarded wait for the collector.
  t.ok(grown < 300 * MIB, `${grown} bytes more`)

  t.equal(
    (await guestd.request('POST', '/v1/commands', { body: { command: 'true' } })).status,
    200,
    'an ordinary request is served meanwhile',
  )
  for (const one of senders) one.socket.destroy()
  const large = { command: 'true', env: { A: 'x'.repeat(100_000) } }
  await until(
    async () => (await guestd.request('POST', '/v1/commands', { body: large })).status === 200,
  )
})

t.test('a body in chunks of one byte costs no more than its bytes', async t => {
  const guestd = await startGuestd(t)
  const sender = await connectRaw(guestd.socketPath)
  sender.write(
    'POST /v1/commands HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n',
  )
  const before = resident(guestd.pid)
  const chunks = Buffer.from('1\r\n \r\n'.repeat(MIB))
  await new Promise<void>(resolve => sender.socket.write(chunks, () => resolve()))
  const grown = resident(guestd.pid) - before
  t.ok(grown < 100 * MIB, `${grown} bytes more for 1 MiB in a million pieces`)
  sender.write('10\r\n{"command":"echo\r\n5\r\n hi"}\r\n0\r\n\r\n')
  await until(() => sender.text().includes('"type":"end"'))
  t.match(sender.text(), /"text":"hi\\n"/)
  sender.socket.destroy()
})
