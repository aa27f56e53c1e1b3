import fc from 'fast-check'
import t from 'tap'
import { crc32c } from '../../../src/protocol/volume/crc32c.ts'
import { encodeMark, type Mark, readSlots, SLOT_BYTES } from '../../../src/protocol/volume/mark.ts'

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
  t.same(first, { mark: mark(1), nextOffset: SLOT_BYTES, foreign: false })
  const second = readSlots(Buffer.concat([encodeMark(mark(1)), encodeMark(mark(2))]))
  t.same(second, { mark: mark(2), nextOffset: 0, foreign: false })
  const third = readSlots(Buffer.concat([encodeMark(mark(3)), encodeMark(mark(2))]))
  t.same(third, { mark: mark(3), nextOffset: SLOT_BYTES, foreign: false })
})

t.test('zeros are no mark yet, and anything else is not ours', async t => {
  t.same(readSlots(Buffer.concat([EMPTY, EMPTY])), { mark: null, nextOffset: 0, foreign: false })
  const foreign = Buffer.concat([Buffer.alloc(SLOT_BYTES, 'data'), EMPTY])
  t.equal(readSlots(foreign).foreign, true)
  t.equal(readSlots(Buffer.concat([EMPTY, Buffer.alloc(SLOT_BYTES, 1)])).foreign, true)
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
          foreign,
          nextOffset,
        } = readSlots(Buffer.concat([torn, encodeMark(mark(2))]))
        const isWhole = torn.equals(after)
        return (
          !foreign &&
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

t.test('a receipt with much to tell still fits', async t => {
  const errors = Array.from({ length: 16 }, () => 'ü'.repeat(2_000))
  const receipt = {
    at: '',
    generation: 1,
    device: '/dev/vdb',
    how: 'none',
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
