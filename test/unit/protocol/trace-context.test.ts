import t from 'tap'
import { MAX_TRACESTATE_CHARACTERS, parseTrace } from '../../../src/protocol/trace-context.ts'

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT_ID = '00f067aa0ba902b7'
const VALID = `00-${TRACE_ID}-${PARENT_ID}-01`

const traceparents: readonly [title: string, header: unknown, wanted: string | null][] = [
  ['a valid one', VALID, VALID],
  ['no header', undefined, null],
  ['a header that was sent twice', `${VALID}, ${VALID}`, null],
  ['a list', [VALID], null],
  ['capital letters', VALID.toUpperCase(), null],
  ['no trace id', `00-${'0'.repeat(32)}-${PARENT_ID}-01`, null],
  ['no parent id', `00-${TRACE_ID}-${'0'.repeat(16)}-01`, null],
  ['version ff', VALID.replace(/^00/, 'ff'), null],
  ['more than version 00 has', `${VALID}-x`, null],
  ['a line break', `${VALID}\n`, null],
  ['a later version', VALID.replace(/^00/, 'cc'), VALID],
  ['a later version with more', `${VALID.replace(/^00/, 'cc')}-what-comes`, VALID],
  ['flags of a later version', `01-${TRACE_ID}-${PARENT_ID}-fe`, `00-${TRACE_ID}-${PARENT_ID}-00`],
]
for (const [title, traceparent, wanted] of traceparents) {
  t.test(`a traceparent: ${title}`, async t => {
    t.equal(parseTrace({ traceparent })?.traceparent ?? null, wanted)
  })
}

const member = (index: number) => `k${index}=v`
const list = (count: number) => Array.from({ length: count }, (_, index) => member(index)).join(',')

const tracestates: readonly [title: string, header: unknown, wanted: string | null][] = [
  ['none', undefined, null],
  ['one vendor', 'congo=t61rcWkgMzE', 'congo=t61rcWkgMzE'],
  ['white space and empty members', ' rojo=1 ,, fw529a3039@dt=a b ', 'rojo=1,fw529a3039@dt=a b'],
  ['32 members', list(32), list(32)],
  ['33 members', list(33), null],
  ['a member twice', 'a=1,a=2', null],
  ['no value', 'a=', null],
  ['a key with a capital', 'A=1', null],
  ['a value with "="', 'a=1=2', null],
  ['a control character', 'a=1\u0007', null],
  [
    'as long as is passed on',
    `a=${'x'.repeat(254)},b=${'y'.repeat(253)}`,
    `a=${'x'.repeat(254)},b=${'y'.repeat(253)}`,
  ],
  ['longer', `a=${'x'.repeat(255)},b=${'y'.repeat(254)}`, null],
]
for (const [title, tracestate, wanted] of tracestates) {
  t.test(`a tracestate: ${title}`, async t => {
    t.same(parseTrace({ traceparent: VALID, tracestate }), {
      traceparent: VALID,
      tracestate: wanted,
    })
    t.equal(parseTrace({ tracestate }), null, 'without a traceparent it is nothing')
  })
}

t.test('the longest tracestate of the test has the limit', async t => {
  t.equal(`a=${'x'.repeat(254)},b=${'y'.repeat(253)}`.length, MAX_TRACESTATE_CHARACTERS)
})
