/** Messages of the Amazon event stream as frames. */

import { crc32 } from 'node:zlib'
import { createByteQueue } from './bytes.ts'
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

interface Prelude {
  readonly bytes: Buffer
  readonly totalBytes: number
  readonly headerBytes: number
}

/**
 * Frames out of messages. Both CRCs are checked, and the prelude before a byte of the rest is kept.
 * A payload that lies within one chunk is a view of it.
 *
 * @param options `maxMessageBytes`: largest message, all of it
 */
export function createEventStreamDecoder(options: {
  readonly maxMessageBytes: number
}): FrameDecoder {
  const queue = createByteQueue()
  let prelude: Prelude | null = null

  function next(): Frame | null {
    if (prelude === null) {
      if (queue.length < PRELUDE_BYTES) return null
      prelude = readPrelude(queue.take(PRELUDE_BYTES), options.maxMessageBytes)
    }
    const restBytes = prelude.totalBytes - PRELUDE_BYTES
    if (queue.length < restBytes) return null
    const frame = readMessage(prelude, queue.take(restBytes))
    prelude = null
    return frame
  }

  return {
    push(chunk) {
      queue.push(chunk)
      const frames: Frame[] = []
      for (let frame = next(); frame !== null; frame = next()) frames.push(frame)
      return frames
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

function readMessage(prelude: Prelude, rest: Buffer): Frame {
  const checkedEnd = rest.length - MESSAGE_CRC_BYTES
  const checked = rest.subarray(0, checkedEnd)
  if (crc32(checked, crc32(prelude.bytes)) !== rest.readUInt32BE(checkedEnd)) {
    throw new ProtocolError('checksum', 'the CRC of a message is wrong')
  }
  const headers = readHeaders(checked.subarray(0, prelude.headerBytes))
  return toFrame(headers, checked.subarray(prelude.headerBytes))
}

function toFrame(headers: ReadonlyMap<string, string | number>, payload: Buffer): Frame {
  if (headers.get(MESSAGE_TYPE) !== 'event') {
    throw new ProtocolError('malformed', 'a message is not an event')
  }
  const type = headers.get(EVENT_TYPE)
  if (type === 'output') {
    const cursor = headers.get(CURSOR)
    if (typeof cursor !== 'number') {
      throw new ProtocolError('malformed', 'an output message has no cursor')
    }
    return { type, stream: toStream(headers.get(STREAM)), cursor, bytes: payload }
  }
  const frame = frameFromJson(parsePayload(payload))
  if (frame.type !== type) {
    throw new ProtocolError('malformed', 'a message and its payload differ in type')
  }
  return frame
}

function parsePayload(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'))
  } catch (cause) {
    throw new ProtocolError('malformed', 'the payload of a message is not JSON', { cause })
  }
}
