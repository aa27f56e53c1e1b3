import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createParser } from 'eventsource-parser'
import t from 'tap'
import { createEventStreamDecoder } from '../../../src/protocol/event-stream-decode.ts'
import { startGuestd } from '../../helpers/guestd.ts'
import { createNdjsonReader } from '../../helpers/ndjson-frames.ts'

const MIB = 1024 * 1024
/** Above every message that guestd sends. */
const MAX_MESSAGE_BYTES = 4 * MIB

/** Random bytes to stdout, and the SHA-256 of what was written into the file `sum`. */
const command = (bytes: number) =>
  `rm -f p; mkfifo p; sha256sum < p > sum & head -c ${bytes} /dev/urandom | tee p; wait`

const guestd = await startGuestd(t)

/** Runs the command, hands every chunk of the body on, and returns the checksum that the guest made. */
const stream = async (accept: string, bytes: number, chunk: (bytes: Buffer) => void) => {
  const body = { command: command(bytes) }
  const reply = await guestd.open('POST', '/v1/commands', { body, headers: { accept } })
  for await (const one of reply) chunk(one)
  return readFileSync(join(guestd.workspace, 'sum'), 'utf8').split(' ')[0]
}

for (const { accept, mib, decoder } of [
  {
    accept: 'application/vnd.amazon.eventstream',
    mib: 1024,
    decoder: createEventStreamDecoder({ maxMessageBytes: MAX_MESSAGE_BYTES }),
  },
  {
    accept: 'application/x-ndjson',
    mib: 256,
    decoder: createNdjsonReader(),
  },
]) {
  t.test(`${mib} MiB of random bytes arrive with the same SHA-256 as ${accept}`, async t => {
    const hash = createHash('sha256')
    let received = 0
    let last = ''
    const sum = await stream(accept, mib * MIB, chunk => {
      for (const frame of decoder.push(chunk)) {
        last = frame.type
        if (frame.type !== 'output') continue
        hash.update(frame.bytes)
        received += frame.bytes.length
      }
    })
    decoder.end()
    t.equal(last, 'end')
    t.equal(received, mib * MIB)
    t.equal(hash.digest('hex'), sum)
  })
}

t.test('random bytes arrive with the same SHA-256 as server-sent events', async t => {
  const hash = createHash('sha256')
  const parser = createParser({
    onEvent({ event, data }) {
      if (event !== 'output') return
      const { text, base64 } = JSON.parse(data)
      hash.update(text ?? Buffer.from(base64, 'base64'))
    },
  })
  const text = new TextDecoder('utf-8', { fatal: true })
  const sum = await stream('text/event-stream', 64 * MIB, chunk => {
    parser.feed(text.decode(chunk, { stream: true }))
  })
  t.equal(hash.digest('hex'), sum)
})
