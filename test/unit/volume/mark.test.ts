import fc from 'fast-check'
import t from 'tap'
import { crc32c } from '../../../src/volume/crc32c.ts'
import { encodeMark, type Mark, readSlots, SLOT_BYTES } from '../../../src/volume/mark.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'

function mark(sequence: number, more: Partial<Mark> = {}): Mark {
  return {
    sequence,
    sessionId: null,
    runtimeVersion: null,
    generation: sequence,
    state: 'clean',
    at: '2026-01-01T00:00:00.000Z',
    receipt: null,
    ...more,
  }
}

const EMPTY = Buffer.alloc(SLOT_BYTES)

t.test('CRC-32C has the value of its specification', async t => {
  t.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  t.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
})

t.test('of two slots the later one counts, and the other is written next', async t => {
  const first = readSlots(Buffer.concat([encodeMark(mark(1)), EMPTY]))
  t.same(first, { mark: mark(1), nextOffset: SLOT_BYTES, refusal: null })
  const second = readSlots(Buffer.concat([encodeMark(mark(1)), encodeMark(mark(2))]))
  t.same(second, { mark: mark(2), nextOffset: 0, refusal: null })
  const third = readSlots(Buffer.concat([encodeMark(mark(3)), encodeMark(mark(2))]))
  t.same(third, { mark: mark(3), nextOffset: SLOT_BYTES, refusal: null })
})

t.test('zeros are no mark yet, and anything else is not ours', async t => {
  t.same(readSlots(Buffer.concat([EMPTY, EMPTY])), { mark: null, nextOffset: 0, refusal: null })
  const foreign = Buffer.concat([Buffer.alloc(SLOT_BYTES, 'data'), EMPTY])
  t.equal(readSlots(foreign).refusal, 'foreign')
  t.equal(readSlots(Buffer.concat([EMPTY, Buffer.alloc(SLOT_BYTES, 1)])).refusal, 'foreign')
})

t.test('a write torn anywhere leaves the mark before it, or the whole new one', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 0, max: SLOT_BYTES }), fc.boolean(), (at, over) => {
        const before = over ? encodeMark(mark(1, { sessionId: 'old' })) : EMPTY
        const after = encodeMark(mark(3, { sessionId: 'a-new-one', runtimeVersion: '2' }))
        const torn = Buffer.concat([after.subarray(0, at), before.subarray(at)])
        const {
          mark: read,
          refusal,
          nextOffset,
        } = readSlots(Buffer.concat([torn, encodeMark(mark(2))]))
        const isWhole = torn.equals(after)
        return (
          refusal === null &&
          read?.sequence === (isWhole ? 3 : 2) &&
          nextOffset === (isWhole ? SLOT_BYTES : 0)
        )
      }),
    ),
  )
})

t.test('one wrong bit is seen', async t => {
  const slot = encodeMark(mark(7, { sessionId: 'x' }))
  const length = slot.indexOf(0)
  for (let bit = 0; bit < length * 8; bit++) {
    const wrong = Buffer.from(slot)
    wrong[bit >> 3] = (wrong[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    if (readSlots(Buffer.concat([wrong, EMPTY])).mark !== null) t.fail(`bit ${bit}`)
  }
  t.ok(length > 0)
})

t.test('a receipt with long errors still fits', async t => {
  const errors = Array.from({ length: 16 }, () => '\u0001'.repeat(2_000))
  const receipt = {
    at: '',
    generation: 1,
    device: '/dev/vdb',
    outcome: 'none',
    dirtyBytes: 0,
    flushMs: 0,
    ms: 0,
    errorsSince: 'mount',
    errors,
    heldBy: '\u0000'.repeat(3_000),
    clean: false,
  } as const
  const slot = encodeMark(mark(1, { receipt: { ...receipt, errors: [...errors] } }))
  t.equal(slot.length, SLOT_BYTES)
  const { mark: read } = readSlots(Buffer.concat([slot, EMPTY]))
  t.equal(read?.receipt?.errors.length, 2)
})

/** A slot with right CRC around any text. */
function slotOf(text: string, format = '1'): Buffer {
  const slot = Buffer.alloc(SLOT_BYTES)
  const crc = crc32c(Buffer.from(text)).toString(16).padStart(8, '0')
  slot.write(`guestd-mark ${format} ${crc} ${Buffer.byteLength(text)}\n${text}`)
  return slot
}

t.test('a slot of a newer format is refused, whatever else is there', async t => {
  for (const newer of [slotOf('{}', '2'), Buffer.from('guestd-mark 17 anything'.padEnd(4096))]) {
    matchExactly(t, readSlots(Buffer.concat([newer, EMPTY])), { mark: null, refusal: 'newer' })
    t.match(readSlots(Buffer.concat([encodeMark(mark(9)), newer])), { refusal: 'newer' })
  }
  t.match(readSlots(Buffer.concat([slotOf('{}', '0'), EMPTY])), { refusal: 'foreign' })
})

t.test('what is whole, but no mark, is not taken for one', async t => {
  const good = mark(1)
  const wrong: readonly unknown[] = [
    null,
    7,
    'text',
    [],
    {},
    { ...good, sequence: '1' },
    { ...good, sequence: -1 },
    { ...good, sessionId: 7 },
    { ...good, state: 'open' },
    { ...good, at: 'yesterday' },
    { ...good, lastActivityAt: 5 },
    { ...good, receipt: {} },
    { ...good, pending: { why: 'blank' } },
  ]
  for (const text of ['{', ...wrong.map(one => JSON.stringify(one))]) {
    const slot = slotOf(text)
    matchExactly(
      t,
      readSlots(Buffer.concat([slot, EMPTY])),
      { mark: null, refusal: 'foreign' },
      text,
    )
    t.match(readSlots(Buffer.concat([slot, encodeMark(good)])).mark, good, 'the other one counts')
  }
})

t.test('an outcome that a receipt of another version has is kept', async t => {
  const receipt = {
    ...{ at: '2026-01-01T00:00:00.000Z', generation: 1, device: null, outcome: 'frozen' },
    ...{ dirtyBytes: 0, flushMs: 0, ms: 0, errorsSince: 'boot', errors: [], heldBy: null },
    clean: true,
  }
  const slot = slotOf(JSON.stringify({ ...mark(1), receipt }))
  t.same(readSlots(Buffer.concat([slot, EMPTY])).mark?.receipt, receipt)
})

t.test('members that are not known yet are kept', async t => {
  const slot = slotOf(JSON.stringify({ ...mark(1), later: 1 }))
  t.match(readSlots(Buffer.concat([slot, EMPTY])).mark, { sequence: 1, later: 1 })
})
