/** Reads messages of the Amazon event stream as frames. */

import { crc32 } from 'node:zlib'
import { type ByteQueue, createByteQueue, joinPieces } from './bytes.ts'
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
import type { Frame } from './frames.ts'
import { frameFromJson } from './json-frames.ts'
import { ProtocolError } from './protocol-error.ts'
import { streamNames } from './schemas/frame-schema.ts'
import { cutBetweenCharacters } from './utf8-pieces.ts'

export interface FrameDecoder {
  /**
   * The frames that a chunk completes, in order. The bytes of `output` frames can be views of the chunks, so a chunk must
   * not change afterwards. One large `output` frame can come as several, cut between characters, each with its own cursor.
   *
   * @throws ProtocolError `oversize`, `checksum` or `malformed`; the decoder cannot be used afterwards
   */
  push(chunk: Uint8Array): Frame[]
  /** @throws ProtocolError `truncated` if the stream stops inside a message */
  end(): void
}

/**
 * Output whose chunks have at least this many bytes on average is not joined: copying it would cost more than handling
 * more frames.
 */
const MIN_PIECE_BYTES = 8 * 1024

interface Prelude {
  readonly bytes: Buffer
  readonly totalBytes: number
  readonly headerBytes: number
}

/**
 * Checks both CRCs of a message, that of the prelude before the rest has arrived. Copies nothing large: output that
 * arrives in several chunks becomes several frames.
 *
 * @param options `maxMessageBytes`: largest message, in total
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
    throw new ProtocolError('checksum', "the CRC of a message's prelude does not match")
  }
  if (totalBytes > maxMessageBytes) {
    throw new ProtocolError(
      'oversize',
      `a message has ${totalBytes} bytes; at most ${maxMessageBytes} are allowed`,
    )
  }
  if (headerBytes > totalBytes - MIN_MESSAGE_BYTES) {
    throw new ProtocolError('malformed', 'the headers of a message are longer than the message')
  }
  return { bytes, totalBytes, headerBytes }
}

function readMessage(prelude: Prelude, queue: ByteQueue): readonly Frame[] {
  const headers = queue.take(prelude.headerBytes)
  const payload = queue.takePieces(prelude.totalBytes - prelude.headerBytes - MIN_MESSAGE_BYTES)
  let crc = crc32(headers, crc32(prelude.bytes))
  for (const piece of payload) crc = crc32(piece, crc)
  if (crc !== queue.take(MESSAGE_CRC_BYTES).readUInt32BE(0)) {
    throw new ProtocolError('checksum', 'the CRC of a message does not match')
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
  const stream = streamNames.find(name => name === headers.get(STREAM))
  if (stream === undefined) {
    throw new ProtocolError('malformed', 'an output message has no known stream')
  }
  const end = headers.get(CURSOR)
  if (typeof end !== 'number') {
    throw new ProtocolError('malformed', 'an output message has no cursor')
  }
  const length = payload.reduce((sum, piece) => sum + piece.length, 0)
  if (end < length)
    throw new ProtocolError('malformed', 'the cursor of an output message is less than its length')
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
