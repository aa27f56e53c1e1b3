import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import t from 'tap'
import {
  charBoundaryBefore,
  completePrefixLength,
  leadingContinuationBytes,
} from '../../../src/protocol/utf8.ts'
import { cutBetweenCharacters } from '../../../src/protocol/utf8-pieces.ts'
import { anyBytes, anyCharacter, anyCuts, cut, holds } from './sample-frames.ts'

const heldBack = (...bytes: number[]) => bytes.length - completePrefixLength(Uint8Array.from(bytes))

t.test('the beginning of a character is held back', async t => {
  t.equal(heldBack(), 0)
  t.equal(heldBack(0x61), 0)
  t.equal(heldBack(0x61, 0xc3), 1)
  t.equal(heldBack(0xe6, 0xbc), 2)
  t.equal(heldBack(0xf0, 0x9f, 0x98), 3)
  t.equal(heldBack(0xf0, 0x9f, 0x98, 0x80), 0)
  t.equal(heldBack(0xc3, 0xa9, 0xe6), 1)
})

t.test('bytes that nothing can complete are not held back', async t => {
  t.equal(heldBack(0x80), 0, 'a continuation alone')
  t.equal(heldBack(0xc0), 0, 'C0 begins nothing')
  t.equal(heldBack(0xc1), 0, 'C1 begins nothing')
  t.equal(heldBack(0xf5), 0, 'F5 begins nothing')
  t.equal(heldBack(0xff), 0)
  t.equal(heldBack(0xc3, 0xa9, 0x80), 0, 'one continuation too many')
  t.equal(heldBack(0xe0, 0x9f), 0, 'overlong')
  t.equal(heldBack(0xed, 0xa0), 0, 'a surrogate')
  t.equal(heldBack(0xf0, 0x8f), 0, 'overlong')
  t.equal(heldBack(0xf4, 0x90), 0, 'past plane 16')
  t.equal(heldBack(0x80, 0x80, 0x80, 0x80), 0)
})

t.test('the edges of the second byte are taken', async t => {
  for (const [first, second] of [
    [0xe0, 0xa0],
    [0xed, 0x9f],
    [0xf0, 0x90],
    [0xf4, 0x8f],
  ] as const) {
    t.equal(heldBack(first, second), 2, `${first.toString(16)} ${second.toString(16)}`)
  }
})

t.test('held back is exactly what more bytes can make valid', async t => {
  const completions = [
    [0x80],
    [0xbf],
    [0x80, 0x80],
    [0xbf, 0xbf],
    [0x80, 0x80, 0x80],
    [0xbf, 0xbf, 0xbf],
  ]
  const tail = fc.uint8Array({ minLength: 1, maxLength: 4 })
  const edgy = fc.array(
    fc.constantFrom(
      0x61,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc1,
      0xc2,
      0xe0,
      0xe1,
      0xed,
      0xf0,
      0xf4,
      0xf5,
    ),
    { minLength: 1, maxLength: 4 },
  )
  const canBeCompleted = (bytes: Uint8Array) =>
    completions.some(more => isUtf8(Buffer.from([...bytes, ...more])))
  /** The straight definition: the longest rest of 1 to 3 bytes that begins one unfinished character. */
  const expected = (bytes: Uint8Array) => {
    for (const held of [3, 2, 1]) {
      const rest = bytes.subarray(bytes.length - held)
      const isOneCharacter = [...rest].slice(1).every(byte => (byte & 0xc0) === 0x80)
      if (rest.length === held && isOneCharacter && !isUtf8(rest) && canBeCompleted(rest)) {
        return bytes.length - held
      }
    }
    return bytes.length
  }
  holds(
    t,
    fc.property(fc.oneof(tail, edgy.map(Uint8Array.from.bind(Uint8Array))), bytes => {
      return completePrefixLength(bytes) === expected(bytes)
    }),
  )
})

t.test('a text cut at any size stays text in every piece', async t => {
  const text = fc.array(anyCharacter, { maxLength: 100 }).map(all => Buffer.from(all.join('')))
  holds(
    t,
    fc.property(text, fc.integer({ min: 4, max: 20 }), (bytes, max) => {
      for (let at = 0; at < bytes.length; ) {
        const size = charBoundaryBefore(bytes.subarray(at), max)
        if (size < 1 || size > max || !isUtf8(bytes.subarray(at, at + size))) return false
        at += size
      }
      return true
    }),
  )
})

t.test('a cut goes on when the limit is smaller than a character', async t => {
  t.equal(charBoundaryBefore(Buffer.from('😀'), 2), 2)
  t.equal(charBoundaryBefore(Buffer.from('a'), 0), 0)
  t.equal(charBoundaryBefore(Buffer.from('aé'), 2), 1)
  t.equal(charBoundaryBefore(Buffer.from('aé'), 3), 3)
})

t.test('the rest of a character that began before is found', async t => {
  const smile = Buffer.from('😀a')
  t.equal(leadingContinuationBytes(smile), 0)
  t.equal(leadingContinuationBytes(smile.subarray(1)), 3)
  t.equal(leadingContinuationBytes(smile.subarray(3)), 1)
  t.equal(leadingContinuationBytes(Buffer.alloc(9, 0x80)), 3)
  t.equal(leadingContinuationBytes(Buffer.alloc(0)), 0)
})

t.test('pieces of a text are cut anew between characters, and nothing is lost', async t => {
  holds(
    t,
    fc.property(anyBytes, anyCuts, (bytes, sizes) => {
      const small = sizes.map(size => (size % 5) + 1)
      const pieces = cut(bytes, small).map(piece => Buffer.from(piece))
      const anew = cutBetweenCharacters(pieces)
      const isWhole = Buffer.concat(anew).equals(bytes) && anew.every(piece => piece.length > 0)
      return isWhole && (!isUtf8(bytes) || anew.every(piece => isUtf8(piece)))
    }),
  )
})

t.test('a character that nothing completes does not take the next one apart', async t => {
  const pieces = [[0xf0], [0x61, 0x62, 0xc3], [0xa9]].map(bytes => Buffer.from(bytes))
  const anew = cutBetweenCharacters(pieces).map(piece => piece.toString('hex'))
  t.same(anew, ['f0', '6162', 'c3a9'])
})
