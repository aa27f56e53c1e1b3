import fc from 'fast-check'
import t from 'tap'
import { GuestdError } from '../../../src/errors.ts'
import { mediaTypes, negotiate } from '../../../src/protocol/negotiate.ts'
import { thrownBy } from '../../helpers/thrown-by.ts'
import { holds } from './sample-frames.ts'

const NDJSON = 'application/x-ndjson'
const EVENT_STREAM = 'application/vnd.amazon.eventstream'
const SSE = 'text/event-stream'
const JSON_TYPE = 'application/json'

t.test('a client that does not choose gets ndjson', async t => {
  for (const accept of [undefined, '', ' ', '*/*', 'application/*', '*/*;q=0.1', ', */* ,']) {
    t.equal(negotiate(accept), NDJSON, String(accept))
  }
})

t.test('each encoding is had by its name, in any case and with a charset', async t => {
  for (const type of mediaTypes) {
    t.equal(negotiate(type), type)
    t.equal(negotiate(`${type.toUpperCase()}; Charset="UTF-8"`), type)
    t.equal(negotiate(`text/html, ${type} ;q=0.001 ; v=1`), type)
  }
  t.equal(negotiate('text/*'), SSE)
})

t.test('quality decides, then exactness, then the order of the client', async t => {
  const cases: Record<string, string> = {
    'application/json;q=0.5, text/event-stream;q=0.9': SSE,
    'application/x-ndjson;q=0, */*': EVENT_STREAM,
    'application/*;q=0.1, text/event-stream;q=0.2': SSE,
    'application/json, text/plain, */*': JSON_TYPE,
    '*/*, application/json': JSON_TYPE,
    '*/*, application/x-ndjson;q=0.5': EVENT_STREAM,
    'text/event-stream, application/json': SSE,
    'application/json, text/event-stream': JSON_TYPE,
    '*/*;q=1, application/json;q=0.3': NDJSON,
    'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8': NDJSON,
    'application/json;profile="a,b;q=0\\"";q=1.000': JSON_TYPE,
  }
  for (const [accept, type] of Object.entries(cases)) t.equal(negotiate(accept), type, accept)
})

t.test('what cannot be served and what cannot be read is not acceptable', async t => {
  const bad = [
    'text/html',
    'application/json;q=0',
    '*/*;q=0',
    'application/json;charset=latin1',
    '*',
    '*/json',
    'application',
    'application/',
    '/json',
    'application/json;q=2',
    'application/json;q=1.001',
    'application/json;q=-1',
    'application/json;q=abc',
    'application/json;q=0.1234',
    'application/json;q',
    'application/json text/html',
    'application/json;x="open',
    'application /json',
    'application/json\n',
    'é/json',
    ',,,',
    `application/json${' '.repeat(4096)}`,
  ]
  for (const accept of bad) {
    const thrown = thrownBy(() => negotiate(accept))
    t.match(
      thrown,
      { code: 'not_acceptable', field: 'accept' },
      JSON.stringify(accept).slice(0, 60),
    )
  }
})

t.test('any header gives one of the four or not_acceptable, in little time', async t => {
  const parts = fc.constantFrom(
    ...mediaTypes,
    '*/*',
    ';q=',
    '0.5',
    ',',
    ' ',
    '"',
    '\\',
    ';',
    'a',
    '=',
  )
  const header = fc.array(parts, { maxLength: 200 }).map(all => all.join(''))
  holds(
    t,
    fc.property(header, accept => {
      const thrown = thrownBy(() => mediaTypes.includes(negotiate(accept)))
      return thrown === undefined || (thrown instanceof GuestdError && thrown.status === 406)
    }),
  )
  const startedAt = performance.now()
  for (const piece of [' ', '\t,', ';', ';a=', '"\\', 'a/b;', '*/*;q=0.1 ']) {
    thrownBy(() => negotiate(`a/b${piece.repeat(4096)}`.slice(0, 4096)))
  }
  t.ok(performance.now() - startedAt < 1000)
})
