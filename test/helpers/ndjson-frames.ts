/** Reads what the JSON encodings send as frames again. The product has no such reader: its client takes event streams. */
import type { Frame, OutputFrame } from '../../src/protocol/frames.ts'
import { frameFromJson, type JsonFrame } from '../../src/protocol/json-frames.ts'

export function frameOf(value: JsonFrame): Frame {
  return value.type === 'output' ? outputOf(value) : frameFromJson(value)
}

function outputOf(frame: JsonFrame & { readonly type: 'output' }): OutputFrame {
  const { type, stream, cursor } = frame
  const bytes = 'text' in frame ? Buffer.from(frame.text) : Buffer.from(frame.base64, 'base64')
  return { type, stream, cursor, bytes }
}

/** Frames out of the chunks of `application/x-ndjson`. */
export function createNdjsonReader() {
  let rest: Buffer[] = []
  return {
    push(chunk: Uint8Array): Frame[] {
      const frames: Frame[] = []
      let bytes = Buffer.from(chunk)
      for (let at = bytes.indexOf('\n'); at !== -1; at = bytes.indexOf('\n')) {
        const line = Buffer.concat([...rest, bytes.subarray(0, at)])
        frames.push(frameOf(JSON.parse(line.toString())))
        rest = []
        bytes = bytes.subarray(at + 1)
      }
      rest.push(bytes)
      return frames
    },
    end() {
      if (rest.some(({ length }) => length > 0)) throw new Error('the last line has no end')
    },
  }
}
