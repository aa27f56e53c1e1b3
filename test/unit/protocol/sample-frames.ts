/** Frames for the tests of the encodings: samples of each type, arbitrary ones, and cuts of bytes. */

import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import type { Frame, OutputFrame, PlainFrame } from '../../../src/protocol/frames.ts'
import { frameSchemas, streamNames } from '../../../src/protocol/schemas/frame-schema.ts'
import { arbitraryOf } from '../../helpers/arbitrary-json.ts'
import { exitFrame } from '../../helpers/fake-guest.ts'

/** Few enough for emulated guests, which run these too. */
const NUM_RUNS = 100

/** Whether a property holds for arbitrary values, as an assertion of a test. */
export function holds<T>(t: { pass(message: string): boolean }, property: fc.IProperty<T>): void {
  fc.assert(property, { numRuns: NUM_RUNS })
  t.pass(`holds for ${NUM_RUNS} runs`)
}

export const sampleFrames: readonly PlainFrame[] = [
  {
    type: 'start',
    id: 'build-1',
    pid: 4242,
    startedAt: '2026-01-02T03:04:05.678Z',
    cwd: '/mnt/workspace/ünïcode "quoted"',
    user: 'agent',
    cursor: 0,
  },
  { type: 'gap', from: 12, to: 5_000_000_000, cursor: 5_000_000_000 },
  exitFrame(2 ** 40 + 3, {
    exitCode: null,
    signal: 'SIGKILL',
    cause: 'oom',
    oomScope: 'command',
    workspaceFull: 'bytes',
    durationMs: 12,
    cpuMs: 3.5,
    maxRssBytes: 4096,
  }),
  {
    type: 'end',
    stdoutBytes: 7,
    stderrBytes: 8,
    truncated: 9,
    descendants: 1,
    cursor: Number.MAX_SAFE_INTEGER,
  },
  { type: 'keepalive', at: '2026-01-02T03:04:05.678Z', cursor: 15 },
  { type: 'error', code: 'internal', message: 'two\nlines \u2028 and \u0000' },
]

/** Of any length in UTF-8, evenly; a surrogate is no character. */
export const anyCharacter: fc.Arbitrary<string> = fc
  .oneof(
    fc.nat({ max: 0x7f }),
    fc.integer({ min: 0x80, max: 0x7ff }),
    fc.integer({ min: 0x800, max: 0xd7ff }),
    fc.integer({ min: 0xe000, max: 0xffff }),
    fc.integer({ min: 0x10000, max: 0x10ffff }),
  )
  .map(point => String.fromCodePoint(point))

/** Bytes of all kinds: text, text with much to escape, and noise. */
export const anyBytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.array(anyCharacter, { maxLength: 100 }).map(text => Buffer.from(text.join(''))),
  fc
    .array(fc.constantFrom('\n', '"', '\\', '\0', '\r\n', 'é', '漢', '😀', 'data: ', 'abcdefgh'), {
      maxLength: 60,
    })
    .map(parts => Buffer.from(parts.join(''))),
)

/** Its cursor is never before its own bytes. */
export const anyOutput: fc.Arbitrary<OutputFrame> = fc
  .record({
    stream: fc.constantFrom(...streamNames),
    before: fc.nat({ max: 2 ** 52 }),
    bytes: anyBytes,
  })
  .map(({ stream, before, bytes }) => ({
    type: 'output',
    stream,
    cursor: before + bytes.length,
    bytes,
  }))

const anyPlainFrame = fc.oneof(
  ...Object.values(frameSchemas).map(arbitraryOf),
) as fc.Arbitrary<PlainFrame>

export const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  { weight: 4, arbitrary: anyOutput },
  { weight: 2, arbitrary: anyPlainFrame },
  { weight: 1, arbitrary: fc.constantFrom(...sampleFrames) },
)

/** Sizes of the chunks in which bytes arrive. */
export const anyCuts: fc.Arbitrary<number[]> = fc.array(fc.integer({ min: 1, max: 90 }), {
  minLength: 1,
  maxLength: 12,
})

/** The bytes in chunks of the sizes given, again and again. */
export function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}

/** Whether two lists of frames are the same, whatever the kind of array their bytes are in. */
export function areSame(some: readonly Frame[], others: readonly Frame[]): boolean {
  return isDeepStrictEqual(comparable(some), comparable(others))
}

function comparable(frames: readonly Frame[]) {
  return frames.map(frame =>
    frame.type === 'output' ? { ...frame, bytes: Buffer.from(frame.bytes).toString('hex') } : frame,
  )
}
