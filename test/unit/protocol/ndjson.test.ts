import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import t from 'tap'
import { createEncoder } from '../../../src/protocol/encoder.ts'
import type { Frame } from '../../../src/protocol/frames.ts'
import { frameToJson } from '../../../src/protocol/json-frames.ts'
import { ESCAPE_SLICE_BYTES } from '../../../src/protocol/json-text.ts'
import { frameSchemas } from '../../../src/protocol/schemas/frame-schema.ts'
import { exitFrame } from '../../helpers/fake-guest.ts'
import { createNdjsonReader } from '../../helpers/ndjson-frames.ts'
import { anyBytes, anyCuts, anyFrame, areSame, cut, holds, sampleFrames } from './sample-frames.ts'

const encoder = createEncoder('application/x-ndjson')
const encode = (frame: Frame) => Buffer.concat(encoder.encode(frame))
const output = (bytes: Uint8Array): Frame => ({
  type: 'output',
  stream: 'stdout',
  cursor: 1e6,
  bytes,
})

t.test('output is one flat object a line, the type first', async t => {
  const hello: Frame = {
    type: 'output',
    stream: 'stdout',
    cursor: 12,
    bytes: Buffer.from('hello\n'),
  }
  t.equal(
    encode(hello).toString(),
    '{"type":"output","stream":"stdout","cursor":12,"text":"hello\\n"}\n',
  )
  t.equal(
    encode({ ...hello, stream: 'stderr', bytes: Buffer.from([0xff, 0]) }).toString(),
    '{"type":"output","stream":"stderr","cursor":12,"base64":"/wA="}\n',
  )
  t.equal(
    encode(output(new Uint8Array(0)))
      .toString()
      .includes('"text":""'),
    true,
  )
})

t.test('a frame has its fields in the order of the schema, and no others', async t => {
  const [, gap] = sampleFrames
  t.equal(
    encode(Object.assign({ secret: 'x' }, gap)).toString(),
    '{"type":"gap","from":12,"to":5000000000,"cursor":5000000000}\n',
  )
  t.equal(
    encode(exitFrame(7)).toString().slice(0, 44),
    '{"type":"exit","exitCode":0,"signal":null,"c',
  )
  for (const frame of sampleFrames) {
    const { properties } = frameSchemas[frame.type]
    t.same(Object.keys(JSON.parse(encode(frame).toString())), Object.keys(properties))
  }
})

t.test('the fast way writes what JSON.stringify writes', async t => {
  const everyByte = Buffer.from(Array.from({ length: 128 }, (_, byte) => byte))
  const bytes = fc.oneof(anyBytes, fc.constant(everyByte))
  holds(
    t,
    fc.property(bytes, fc.nat({ max: 7 }), (all, skip) => {
      const frame: Frame = { ...output(all.subarray(skip)) }
      return encode(frame).toString() === `${JSON.stringify(frameToJson(frame))}\n`
    }),
  )
})

t.test('large output goes in slices, each character whole', async t => {
  const line = 'a "line" with tabs\t, 漢字 and 😀\n'
  for (const size of [ESCAPE_SLICE_BYTES - 1, ESCAPE_SLICE_BYTES, ESCAPE_SLICE_BYTES * 2 + 5]) {
    const text = line.repeat(Math.ceil(size / Buffer.byteLength(line)))
    const frames = createNdjsonReader().push(encode(output(Buffer.from(text))))
    t.equal(Buffer.from(frames[0]?.type === 'output' ? frames[0].bytes : []).toString(), text)
  }
  const worst = Buffer.alloc(ESCAPE_SLICE_BYTES, 1)
  t.ok(areSame(createNdjsonReader().push(encode(output(worst))), [output(worst)]))
})

t.test('any frames, split anywhere, come out whole', async t => {
  holds(
    t,
    fc.property(fc.array(anyFrame, { maxLength: 8 }), anyCuts, (frames, sizes) => {
      const reader = createNdjsonReader()
      const out = cut(Buffer.concat(frames.map(encode)), sizes).flatMap(chunk => reader.push(chunk))
      reader.end()
      return areSame(out, frames)
    }),
  )
})

t.test('text is text and only bytes that are not are base64', async t => {
  holds(
    t,
    fc.property(
      anyBytes,
      bytes => 'text' in JSON.parse(encode(output(bytes)).toString()) === isUtf8(bytes),
    ),
  )
})
