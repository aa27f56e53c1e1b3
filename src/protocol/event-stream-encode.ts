/** Frames as messages of the Amazon event stream. */

import { crc32 } from 'node:zlib'
import {
  CONTENT_TYPE,
  CURSOR,
  EVENT_TYPE,
  INT64_TAG,
  MESSAGE_CRC_BYTES,
  MESSAGE_TYPE,
  PRELUDE_BYTES,
  PRELUDE_CHECKED_BYTES,
  STREAM,
  STRING_TAG,
} from './event-stream-format.ts'
import type { Frame, PlainFrame, StreamName } from './frames.ts'
import { frameToJson } from './json-frames.ts'
import { frameSchemas } from './schemas/frame-schema.ts'

/**
 * One message in three chunks: prelude and headers, payload, CRC. The payload of an `output` frame is the frame's own
 * memory, that of any other frame its JSON. Every frame with a cursor has it as a header too.
 */
export function encodeEventStream(frame: Frame): Uint8Array[] {
  if (frame.type === 'output') {
    return message(outputHeads[frame.stream], frame.cursor, frame.bytes)
  }
  const payload = Buffer.from(JSON.stringify(frameToJson(frame)))
  return message(jsonHeads[frame.type], 'cursor' in frame ? frame.cursor : null, payload)
}

/** @param head room for the prelude, then the headers; if there is a cursor, the head ends with its 8 bytes */
function message(head: Buffer, cursor: number | null, payload: Uint8Array): Uint8Array[] {
  const headLength = head.length
  const total = headLength + payload.length + MESSAGE_CRC_BYTES
  const frame = Buffer.allocUnsafe(headLength + MESSAGE_CRC_BYTES)
  frame.set(head)
  frame.writeUInt32BE(total, 0)
  frame.writeUInt32BE(headLength - PRELUDE_BYTES, 4)
  frame.writeUInt32BE(crc32(frame.subarray(0, PRELUDE_CHECKED_BYTES)), PRELUDE_CHECKED_BYTES)
  if (cursor !== null) writeInt64(frame, cursor, headLength - 8)
  const start = frame.subarray(0, headLength)
  frame.writeUInt32BE(crc32(payload, crc32(start)), headLength)
  return [start, payload, frame.subarray(headLength)]
}

/** @param value a safe integer from 0 */
function writeInt64(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32BE(Math.floor(value / 2 ** 32), at)
  buffer.writeUInt32BE(value % 2 ** 32, at + 4)
}

/** Heads are made once, at the start: of a message only its lengths, CRCs and cursor differ. */
const outputHeads: Readonly<Record<StreamName, Buffer>> = {
  stdout: makeOutputHead('stdout'),
  stderr: makeOutputHead('stderr'),
  tty: makeOutputHead('tty'),
}

function makeOutputHead(stream: StreamName): Buffer {
  return makeHead('output', 'application/octet-stream', [
    stringHeader(STREAM, stream),
    cursorHeader(),
  ])
}

const jsonHeads = Object.fromEntries(
  Object.entries(frameSchemas).map(([type, { properties }]) => [
    type,
    makeHead(type, 'application/json', 'cursor' in properties ? [cursorHeader()] : []),
  ]),
) as Readonly<Record<PlainFrame['type'], Buffer>>

function makeHead(eventType: string, contentType: string, more: readonly Buffer[]): Buffer {
  return Buffer.concat([
    Buffer.alloc(PRELUDE_BYTES),
    stringHeader(MESSAGE_TYPE, 'event'),
    stringHeader(EVENT_TYPE, eventType),
    stringHeader(CONTENT_TYPE, contentType),
    ...more,
  ])
}

/** Length of the name, name, tag, length of the value in two bytes, value. Both are ASCII, below 256 bytes. */
function stringHeader(name: string, value: string): Buffer {
  const lengths = Buffer.from([STRING_TAG, 0, value.length])
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name), lengths, Buffer.from(value)])
}

function cursorHeader(): Buffer {
  const value = Buffer.alloc(8)
  return Buffer.concat([
    Buffer.from([CURSOR.length]),
    Buffer.from(CURSOR),
    Buffer.from([INT64_TAG]),
    value,
  ])
}
