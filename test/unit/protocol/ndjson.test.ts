import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import t from 'tap'
import { createEncoder } from '../../../src/protocol/encoder.ts'
import { frameToJson } from '../../../src/protocol/frame-to-json.ts'
import type { Frame } from '../../../src/protocol/frames.ts'
import { ESCAPE_SLICE_BYTES } from '../../../src/protocol/json-text.ts'
import { createNdjsonDecoder } from '../../../src/protocol/ndjson.ts'
import { thrownBy } from '../../helpers/thrown-by.ts'
import { anyBytes, anyCuts, anyFrame, areSame, cut, holds, sampleFrames } from './sample-frames.ts'

const encoder = createEncoder('application/x-ndjson')
const encode = (frame: Frame) => Buffer.concat(encoder.encode(frame))
const decoder = (maxLineBytes = 1024 * 1024) => createNdjsonDecoder({ maxLineBytes })
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

t.test('every field is there, null where there is nothing, and nothing else', async t => {
  const [, gap, exit] = sampleFrames
  t.equal(
    encode(Object.assign({ secret: 'x' }, gap)).toString(),
    '{"type":"gap","from":12,"to":5000000000,"cursor":5000000000}\n',
  )
  t.equal(
    encode(exit as Frame).toString(),
    '{"type":"exit","exitCode":null,"signal":"SIGKILL","cause":"oom","stage":null,"errno":null,' +
      '"interpreter":null,"oomScope":"command","workspaceFull":"bytes","durationMs":12.5,"cpuMs":3,"maxRssBytes":4096,"cursor":1099511627779}\n',
  )
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
    const frames = decoder().push(encode(output(Buffer.from(text))))
    t.equal(Buffer.from(frames[0]?.type === 'output' ? frames[0].bytes : []).toString(), text)
  }
  const worst = Buffer.alloc(ESCAPE_SLICE_BYTES, 1)
  t.ok(areSame(decoder().push(encode(output(worst))), [output(worst)]))
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

t.test('text is text and only bytes that are not are base64', async t => {
  holds(
    t,
    fc.property(
      anyBytes,
      bytes => 'text' in JSON.parse(encode(output(bytes)).toString()) === isUtf8(bytes),
    ),
  )
})

t.test('a line of the longest size passes and a longer one is refused before its end', async t => {
  const line = encode(output(Buffer.from('x'.repeat(50))))
  t.equal(decoder(line.length - 1).push(line).length, 1)
  t.match(
    thrownBy(() => decoder(line.length - 2).push(line)),
    { kind: 'oversize' },
  )
  const endless = decoder(100)
  const feed = () => {
    for (let turn = 0; turn < 12; turn += 1) endless.push(Buffer.alloc(10, 'x'))
  }
  t.match(thrownBy(feed), { name: 'ProtocolError', kind: 'oversize' })
})

t.test('lines that are no frames are malformed', async t => {
  const bad = [
    'hello',
    '[]',
    'null',
    '{}',
    '{"type":"banana"}',
    '{"type":"gap","from":1,"to":2}',
    '{"type":"gap","from":1,"to":2,"cursor":-1}',
    '{"type":"gap","from":1,"to":2.5,"cursor":3}',
    '{"type":"output","stream":"stdin","cursor":1,"text":""}',
    '{"type":"output","stream":"stdout","cursor":1}',
    '{"type":"output","stream":"stdout","cursor":1,"text":5}',
    '{"type":"output","stream":"stdout","cursor":1,"text":"\\ud800"}',
    '{"type":"output","stream":"stdout","cursor":1,"base64":"!!!!"}',
    '{"type":"output","stream":"stdout","cursor":1,"base64":"QUI"}',
    '{"type":"exit","cause":"exit","cursor":1}',
    '{"type":"error","code":1,"message":""}',
    '{"type":"keepalive","at":"x","cursor":"1"}',
  ]
  for (const line of bad) {
    const thrown = thrownBy(() => decoder().push(Buffer.from(`${line}\n`)))
    t.match(thrown, { name: 'ProtocolError', kind: 'malformed' }, line)
  }
  const notUtf8 = Buffer.from('{"type":"error","code":"\xff","message":""}\n', 'latin1')
  t.match(
    thrownBy(() => decoder().push(notUtf8)),
    { kind: 'malformed' },
  )
})

t.test('empty lines and fields that are not known are passed over', async t => {
  const line = '\n\n{"type":"keepalive","at":"now","cursor":1,"new":true}\n\n'
  t.same(decoder().push(Buffer.from(line)), [{ type: 'keepalive', at: 'now', cursor: 1 }])
})

t.test('a stream that stops inside a line is truncated', async t => {
  const reader = decoder()
  reader.push(encode(output(Buffer.from('x'))).subarray(0, 20))
  t.match(
    thrownBy(() => reader.end()),
    { kind: 'truncated' },
  )
})
