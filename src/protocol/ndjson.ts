/** `application/x-ndjson`: one JSON object a line. */

import { isUtf8 } from 'node:buffer'
import { asBuffer, createByteQueue } from './bytes.ts'
import type { FrameDecoder } from './decoder.ts'
import { frameFromJson } from './frame-from-json.ts'
import { frameToJson } from './frame-to-json.ts'
import type { Frame } from './frames.ts'
import { encodeOutput } from './output-json.ts'
import { ProtocolError } from './protocol-error.ts'

const NEWLINE = 0x0a
const NEWLINE_BYTES = 1

/** One line, ended by a newline. */
export function encodeNdjson(frame: Frame): Uint8Array[] {
  if (frame.type === 'output') return encodeOutput('', frame, '\n')
  return [Buffer.from(`${JSON.stringify(frameToJson(frame))}\n`)]
}

/**
 * Frames out of lines; empty lines are passed over.
 *
 * @param options `maxLineBytes`: longest line, without its newline. A longer one is refused before
 * more than that is kept
 */
export function createNdjsonDecoder(options: { readonly maxLineBytes: number }): FrameDecoder {
  const { maxLineBytes } = options
  const queue = createByteQueue()

  function checkLength(length: number): void {
    if (length > maxLineBytes) {
      throw new ProtocolError('oversize', `a line is longer than ${maxLineBytes} bytes`)
    }
  }

  return {
    push(chunk) {
      const frames: Frame[] = []
      const bytes = asBuffer(chunk)
      let at = 0
      for (;;) {
        const newline = bytes.indexOf(NEWLINE, at)
        const end = newline === -1 ? bytes.length : newline
        checkLength(queue.length + end - at)
        queue.push(bytes.subarray(at, end))
        if (newline === -1) return frames
        if (queue.length > 0) frames.push(parseLine(queue.take(queue.length)))
        at = newline + NEWLINE_BYTES
      }
    },
    end() {
      if (queue.length > 0) {
        throw new ProtocolError('truncated', `the stream stops ${queue.length} bytes into a line`)
      }
    },
  }
}

function parseLine(line: Buffer): Frame {
  if (!isUtf8(line)) throw new ProtocolError('malformed', 'a line is not UTF-8')
  let value: unknown
  try {
    value = JSON.parse(line.toString('utf8'))
  } catch (cause) {
    throw new ProtocolError('malformed', 'a line is not JSON', { cause })
  }
  return frameFromJson(value)
}
