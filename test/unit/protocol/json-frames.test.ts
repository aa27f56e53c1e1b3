import fc from 'fast-check'
import t from 'tap'
import type { Frame } from '../../../src/protocol/frames.ts'
import { frameFromJson, frameToJson } from '../../../src/protocol/json-frames.ts'
import { frameSchemas } from '../../../src/protocol/schemas/frame-schema.ts'
import { arbitraryOf } from '../../helpers/arbitrary-json.ts'
import { thrownBy } from '../../helpers/thrown-by.ts'
import { holds, sampleFrames } from './sample-frames.ts'

t.test('a frame is the same after its JSON', async t => {
  for (const frame of sampleFrames)
    t.same(frameFromJson(JSON.parse(JSON.stringify(frameToJson(frame)))), frame)
})

t.test('what is not a frame is malformed, and the field at fault is named', async t => {
  const wrong = (field: string) => `the field ${field} of a frame is missing or invalid`
  const rows: readonly (readonly [json: string, message: string])[] = [
    ['"hello"', 'a frame is not an object with a type'],
    ['[]', 'a frame is not an object with a type'],
    ['null', 'a frame is not an object with a type'],
    ['{}', 'a frame is not an object with a type'],
    ['{"type":"banana"}', 'a frame has an unknown type'],
    ['{"type":"constructor"}', 'a frame has an unknown type'],
    ['{"type":7}', 'a frame has an unknown type'],
    ['{"type":"gap","from":1,"to":2}', wrong('cursor')],
    ['{"type":"gap","from":1,"to":2,"cursor":-1}', wrong('cursor')],
    ['{"type":"gap","from":1,"to":2.5,"cursor":3}', wrong('to')],
    ['{"type":"gap","from":1,"to":9007199254740993,"cursor":3}', wrong('to')],
    ['{"type":"exit","cause":"exit","cursor":1}', wrong('exitCode')],
    ['{"type":"exit","exitCode":null,"signal":null,"cause":"boredom"}', wrong('cause')],
    ['{"type":"error","code":1,"message":""}', wrong('code')],
    ['{"type":"keepalive","at":"x","cursor":"1"}', wrong('cursor')],
  ]
  for (const [json, message] of rows) {
    const thrown = thrownBy(() => frameFromJson(JSON.parse(json)))
    t.match(thrown, { name: 'ProtocolError', kind: 'malformed', message }, json)
  }
})

t.test('a missing field is malformed, whichever it is', async t => {
  for (const frame of sampleFrames) {
    const fields = Object.entries(frame)
    for (const [name] of fields) {
      const others = Object.fromEntries(fields.filter(([own]) => own !== name))
      t.match(
        thrownBy(() => frameFromJson(others)),
        { kind: 'malformed' },
        `${frame.type} ${name}`,
      )
    }
  }
})

t.test('unknown fields are dropped', async t => {
  const frame: Frame = { type: 'keepalive', at: 'now', cursor: 1 }
  t.same(frameFromJson({ ...frame, new: true }), frame)
})

t.test('JSON that matches a schema is a frame', async t => {
  for (const schema of Object.values(frameSchemas)) {
    const { length } = Object.keys(schema.properties)
    holds(
      t,
      fc.property(arbitraryOf(schema), json => Object.keys(frameFromJson(json)).length === length),
    )
  }
})
