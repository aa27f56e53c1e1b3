import { createParser, type EventSourceMessage } from 'eventsource-parser'
import fc from 'fast-check'
import t from 'tap'
import { createEncoder } from '../../../src/protocol/encoder.ts'
import type { Frame } from '../../../src/protocol/frames.ts'
import { frameOf } from '../../helpers/ndjson-frames.ts'
import { anyCuts, anyFrame, areSame, cut, holds, sampleFrames } from './sample-frames.ts'

const encoder = createEncoder('text/event-stream')
const encode = (frame: Frame) => Buffer.concat(encoder.encode(frame))

/** Bytes as a client reads them: decoded as they come, then parsed. */
function parse(chunks: readonly Uint8Array[]): EventSourceMessage[] {
  const events: EventSourceMessage[] = []
  const parser = createParser({
    onEvent: event => events.push(event),
    onError: error => {
      throw error
    },
  })
  const text = new TextDecoder('utf-8', { fatal: true })
  for (const chunk of chunks) parser.feed(text.decode(chunk, { stream: true }))
  return events
}

t.test('an event has its type, its cursor as id and one line of data', async t => {
  const hello: Frame = {
    type: 'output',
    stream: 'stdout',
    cursor: 12,
    bytes: Buffer.from('a\r\nb'),
  }
  t.equal(
    encode(hello).toString(),
    'event: output\nid: 12\ndata: {"type":"output","stream":"stdout","cursor":12,"text":"a\\r\\nb"}\n\n',
  )
})

t.test('every type of frame is read by eventsource-parser', async t => {
  const events = parse([Buffer.concat(sampleFrames.map(encode))])
  t.same(
    events.map(event => event.event),
    sampleFrames.map(frame => frame.type),
  )
  for (const [index, frame] of sampleFrames.entries()) {
    const event = events[index]
    t.same(JSON.parse(event?.data ?? ''), frame)
    const ids = { output: '', gap: '', exit: '.exit', end: '.end' }
    const suffix = Object.entries(ids).find(([type]) => type === frame.type)?.[1]
    const cursor = 'cursor' in frame ? frame.cursor : null
    t.equal(event?.id, suffix === undefined ? undefined : `${cursor}${suffix}`)
  }
})

t.test('any frames, split anywhere, come out whole', async t => {
  holds(
    t,
    fc.property(fc.array(anyFrame, { maxLength: 8 }), anyCuts, (frames, sizes) => {
      const events = parse(cut(Buffer.concat(frames.map(encode)), sizes))
      const out = events.map(event => frameOf(JSON.parse(event.data)))
      return areSame(out, frames)
    }),
  )
})
