/** Messages of the Amazon event stream as frames. */

import { crc32 } from 'node:zlib'
import { type ByteQueue, createByteQueue, joinPieces } from './bytes.ts'
import type { FrameDecoder } from './decoder.ts'
import {
  CURSOR,
  EVENT_TYPE,
  MESSAGE_CRC_BYTES,
  MESSAGE_TYPE,
  MIN_MESSAGE_BYTES,
  PRELUDE_BYTES,
  PRELUDE_CHECKED_BYTES,
  STREAM,
} from './event-stream-format.ts'
import { readHeaders } from './event-stream-headers.ts'
import { frameFromJson, toStream } from './frame-from-json.ts'
import type { Frame } from './frames.ts'
import { ProtocolError } from './protocol-error.ts'
import { cutBetweenCharacters } from './utf8-pieces.ts'

/**
 * Output that came in pieces of at least this many bytes on average is handed on in pieces: a copy
 * of it would cost more than the frames.
 */
const MIN_PIECE_BYTES = 8 * 1024

interface Prelude {
  readonly bytes: Buffer
  readonly totalBytes: number
  readonly headerBytes: number
}

/**
 * Frames out of messages. Both CRCs are checked, and the prelude's before the rest is waited for.
 * Nothing large is copied: output that arrives in several chunks is handed on as several frames,
 * cut between characters, each with the cursor after it.
 *
 * @param options `maxMessageBytes`: largest message, all of it
 */
export function createEventStreamDecoder(options: {
  readonly maxMessageBytes: number
}): FrameDecoder {
  const queue = createByteQueue()
  let prelude: Prelude | null = null

  return {
    push(chunk) {
      queue.push(chunk)
      const frames: Frame[] = []
      for (;;) {
        if (prelude === null) {
          if (queue.length < PRELUDE_BYTES) return frames
          prelude = readPrelude(queue.take(PRELUDE_BYTES), options.maxMessageBytes)
        }
        if (queue.length < prelude.totalBytes - PRELUDE_BYTES) return frames
        frames.push(...readMessage(prelude, queue))
        prelude = null
      }
    },
    end() {
      if (prelude !== null || queue.length > 0) {
        throw new ProtocolError('truncated', 'the stream stops inside a message')
      }
    },
  }
}

function readPrelude(bytes: Buffer, maxMessageBytes: number): Prelude {
  const totalBytes = bytes.readUInt32BE(0)
  const headerBytes = bytes.readUInt32BE(4)
  if (crc32(bytes.subarray(0, PRELUDE_CHECKED_BYTES)) !== bytes.readUInt32BE(8)) {
    throw new ProtocolError('checksum', "the CRC of a message's prelude is wrong")
  }
  if (totalBytes > maxMessageBytes) {
    throw new ProtocolError(
      'oversize',
      `a message of ${totalBytes} bytes is larger than ${maxMessageBytes}`,
    )
  }
  if (headerBytes > totalBytes - MIN_MESSAGE_BYTES) {
    throw new ProtocolError('malformed', 'the lengths of a message do not fit together')
  }
  return { bytes, totalBytes, headerBytes }
}

function readMessage(prelude: Prelude, queue: ByteQueue): readonly Frame[] {
  const headers = queue.take(prelude.headerBytes)
  const payload = queue.takePieces(prelude.totalBytes - prelude.headerBytes - MIN_MESSAGE_BYTES)
  let crc = crc32(headers, crc32(prelude.bytes))
  for (const piece of payload) crc = crc32(piece, crc)
  if (crc !== queue.take(MESSAGE_CRC_BYTES).readUInt32BE(0)) {
    throw new ProtocolError('checksum', 'the CRC of a message is wrong')
  }
  return toFrames(readHeaders(headers), payload)
}

type Headers = ReturnType<typeof readHeaders>

function toFrames(headers: Headers, payload: readonly Buffer[]): readonly Frame[] {
  if (headers.get(MESSAGE_TYPE) !== 'event') {
    throw new ProtocolError('malformed', 'a message is not an event')
  }
  const type = headers.get(EVENT_TYPE)
  if (type === 'output') return toOutputFrames(headers, payload)
  const frame = frameFromJson(parsePayload(joinPieces(payload)))
  if (frame.type !== type) {
    throw new ProtocolError('malformed', 'a message and its payload differ in type')
  }
  return [frame]
}

function toOutputFrames(headers: Headers, payload: readonly Buffer[]): readonly Frame[] {
  const stream = toStream(headers.get(STREAM))
  const end = headers.get(CURSOR)
  if (typeof end !== 'number') {
    throw new ProtocolError('malformed', 'an output message has no cursor')
  }
  const length = payload.reduce((sum, piece) => sum + piece.length, 0)
  if (end < length) throw new ProtocolError('malformed', 'a cursor is before its own output')
  if (payload.length < 2 || length < payload.length * MIN_PIECE_BYTES) {
    return [{ type: 'output', stream, cursor: end, bytes: joinPieces(payload) }]
  }
  let cursor = end - length
  return cutBetweenCharacters(payload).map(bytes => {
    cursor += bytes.length
    return { type: 'output', stream, cursor, bytes }
  })
}

function parsePayload(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'))
  } catch (cause) {
    throw new ProtocolError('malformed', 'the payload of a message is not JSON', { cause })
  }
}
