import { isUtf8 } from 'node:buffer'
import { isDeepStrictEqual } from 'node:util'
import { EventStreamCodec } from '@smithy/eventstream-codec'
import fc from 'fast-check'
import t from 'tap'
import { createEncoder } from '../../../src/protocol/encoder.ts'
import { createEventStreamDecoder } from '../../../src/protocol/event-stream-decode.ts'
import type { Frame } from '../../../src/protocol/frames.ts'
import { frameToJson } from '../../../src/protocol/json-frames.ts'
import { thrownBy } from '../../helpers/thrown-by.ts'
import { anyCuts, anyFrame, areSame, cut, holds, sampleFrames } from './sample-frames.ts'

const codec = new EventStreamCodec(
  bytes => Buffer.from(bytes).toString('utf8'),
  text => Buffer.from(text),
)
const encoder = createEncoder('application/vnd.amazon.eventstream')
const encode = (frame: Frame) => Buffer.concat(encoder.encode(frame))
const decoder = (maxMessageBytes = 1024 * 1024) => createEventStreamDecoder({ maxMessageBytes })

type Headers = Parameters<EventStreamCodec['encode']>[0]['headers']

const eventHeaders = (type: string, contentType: string): Headers => ({
  ':message-type': { type: 'string', value: 'event' },
  ':event-type': { type: 'string', value: type },
  ':content-type': { type: 'string', value: contentType },
})

/** A frame as the other implementation writes it, with a header of each other type added. */
function encodeBySmithy(frame: Frame, more: Headers = {}): Buffer {
  const headers: Headers =
    frame.type === 'output'
      ? {
          ...eventHeaders('output', 'application/octet-stream'),
          stream: { type: 'string', value: frame.stream },
          cursor: { type: 'long', value: int64(frame.cursor) },
        }
      : eventHeaders(frame.type, 'application/json')
  const body = frame.type === 'output' ? frame.bytes : Buffer.from(JSON.stringify(frame))
  return Buffer.from(codec.encode({ headers: { ...more, ...headers }, body }))
}

function int64(value: number) {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return { bytes, valueOf: () => value }
}

const otherTypes: Headers = {
  a: { type: 'boolean', value: true },
  b: { type: 'boolean', value: false },
  c: { type: 'byte', value: 1 },
  d: { type: 'short', value: 2 },
  e: { type: 'integer', value: 3 },
  f: { type: 'binary', value: Buffer.from('bytes') },
  g: { type: 'timestamp', value: new Date(0) },
  h: { type: 'uuid', value: '01234567-89ab-cdef-0123-456789abcdef' },
  i: { type: 'long', value: int64(-5) as never },
}

t.test("guestd's messages are read by smithy's codec, headers and payload", async t => {
  const readsTheSame = (frame: Frame) => {
    const { headers, body } = codec.decode(encode(frame))
    const values = Object.entries(headers).map(([name, header]) => [name, header.value.valueOf()])
    const isOutput = frame.type === 'output'
    const expected = [
      [':message-type', 'event'],
      [':event-type', frame.type],
      [':content-type', isOutput ? 'application/octet-stream' : 'application/json'],
      ...(isOutput ? [['stream', frame.stream]] : []),
      ...(frame.type === 'error' ? [] : [['cursor', frame.cursor]]),
    ]
    const payload = isOutput ? frame.bytes : Buffer.from(JSON.stringify(frameToJson(frame)))
    return isDeepStrictEqual(values, expected) && Buffer.from(body).equals(payload)
  }
  holds(t, fc.property(anyFrame, readsTheSame))
  const { headers } = codec.decode(encode(sampleFrames[3] as Frame))
  t.equal(headers.cursor?.type, 'long')
})

t.test("smithy's messages are read by guestd's decoder", async t => {
  holds(
    t,
    fc.property(fc.array(anyFrame, { maxLength: 5 }), anyCuts, (frames, sizes) => {
      const reader = decoder()
      const bytes = Buffer.concat(frames.map(frame => encodeBySmithy(frame, otherTypes)))
      const out = cut(bytes, sizes).flatMap(chunk => reader.push(chunk))
      reader.end()
      return areSame(out, frames)
    }),
  )
})

t.test('an output message is byte for byte that of smithy', async t => {
  const frame: Frame = { type: 'output', stream: 'tty', cursor: 2 ** 40, bytes: Buffer.from('hi') }
  t.ok(encode(frame).equals(encodeBySmithy(frame)))
})

t.test('any frames, split anywhere, come out whole', async t => {
  holds(
    t,
    fc.property(fc.array(anyFrame, { maxLength: 8 }), anyCuts, (frames, sizes) => {
      const reader = decoder()
      const out = cut(Buffer.concat(frames.map(encode)), sizes).flatMap(chunk => reader.push(chunk))
      reader.end()
      return areSame(out, frames)
    }),
  )
})

t.test('output is not copied, neither on the way out nor on the way in', async t => {
  const bytes = Buffer.alloc(64 * 1024, 'x')
  const frame: Frame = { type: 'output', stream: 'stdout', cursor: bytes.length, bytes }
  t.equal(encoder.encode(frame)[1], bytes)
  const message = encode(frame)
  const [read] = decoder().push(message)
  t.equal(read?.type === 'output' && read.bytes.buffer, message.buffer)
})

t.test('large output in several chunks comes as views of them, cut between characters', async t => {
  const text = Buffer.from('漢😀é'.repeat(7000))
  const cursor = 1000 + text.length
  const message = encode({ type: 'output', stream: 'stdout', cursor, bytes: text })
  for (const size of [20_000, 20_001, 20_002, 20_003]) {
    const reader = decoder()
    const chunks = cut(message, [size])
    const frames = chunks.flatMap(chunk => reader.push(chunk))
    const outputs = frames.flatMap(frame => (frame.type === 'output' ? [frame] : []))
    t.ok(Buffer.concat(outputs.map(output => output.bytes)).equals(text))
    t.ok(outputs.every(output => isUtf8(output.bytes)))
    let at = 1000
    for (const output of outputs) {
      at += output.bytes.length
      t.equal(output.cursor, at)
      const isView = chunks.some(chunk => chunk.buffer === output.bytes.buffer)
      t.ok(isView || output.bytes.length <= 4)
    }
    t.equal(at, cursor)
  }
})

t.test('a byte changed anywhere is noticed', async t => {
  const message = encode({
    type: 'output',
    stream: 'stdout',
    cursor: 9,
    bytes: Buffer.from('hello'),
  })
  for (let at = 0; at < message.length; at += 1) {
    const changed = Buffer.from(message)
    changed.writeUInt8(changed.readUInt8(at) ^ 0x10, at)
    t.match(
      thrownBy(() => decoder().push(changed)),
      { name: 'ProtocolError', kind: 'checksum' },
    )
  }
})

t.test('a message larger than the limit is refused by its prelude alone', async t => {
  const message = encode({ type: 'output', stream: 'stdout', cursor: 99, bytes: Buffer.alloc(99) })
  t.equal(decoder(message.length).push(message).length, 1)
  const prelude = message.subarray(0, 12)
  t.match(
    thrownBy(() => decoder(message.length - 1).push(prelude)),
    { kind: 'oversize' },
  )
})

t.test('messages that are no frames are malformed', async t => {
  const gap: Frame = { type: 'gap', from: 0, to: 1, cursor: 1 }
  const output: Frame = { type: 'output', stream: 'stdout', cursor: 1, bytes: Buffer.alloc(2) }
  const bad: Record<string, Buffer> = {
    'an exception': Buffer.from(
      codec.encode({
        headers: { ':message-type': { type: 'string', value: 'exception' } },
        body: Buffer.alloc(0),
      }),
    ),
    'no JSON': Buffer.from(
      codec.encode({ headers: eventHeaders('gap', 'application/json'), body: Buffer.from('{') }),
    ),
    'another type inside': Buffer.from(
      codec.encode({
        headers: eventHeaders('end', 'application/json'),
        body: Buffer.from(JSON.stringify(gap)),
      }),
    ),
    'output without a cursor': Buffer.from(
      codec.encode({
        headers: {
          ...eventHeaders('output', 'application/octet-stream'),
          stream: { type: 'string', value: 'stdout' },
        },
        body: Buffer.alloc(0),
      }),
    ),
    'a cursor before its output': encodeBySmithy(output),
  }
  for (const [what, message] of Object.entries(bad)) {
    t.match(
      thrownBy(() => decoder().push(message)),
      { kind: 'malformed' },
      what,
    )
  }
})

t.test('a stream that stops inside a message is truncated', async t => {
  for (const length of [1, 12, 20]) {
    const reader = decoder()
    reader.push(encode(sampleFrames[0] as Frame).subarray(0, length))
    t.match(
      thrownBy(() => reader.end()),
      { kind: 'truncated' },
    )
  }
})
