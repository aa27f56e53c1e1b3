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
import { frameToJson } from './frame-to-json.ts'
import type { Frame, Stream } from './frames.ts'

/**
 * Prelude and headers, payload, CRC: the payload of an `output` frame is the very memory that the
 * frame has. Other frames carry their JSON. `cursor` is a header of every frame that has one.
 */
export function encodeEventStream(frame: Frame): Uint8Array[] {
  if (frame.type === 'output') {
    return message(outputHead(frame.stream), frame.cursor, frame.bytes)
  }
  const payload = Buffer.from(JSON.stringify(frameToJson(frame)))
  return frame.type === 'error'
    ? message(errorHead, null, payload)
    : message(jsonHeads[frame.type], frame.cursor, payload)
}

/** @param head prelude's room and the headers; with a cursor, its value is the last thing in it */
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

/** A cursor is a whole number that is exact in a double. */
function writeInt64(buffer: Buffer, value: number, at: number): void {
  buffer.writeUInt32BE(Math.floor(value / 2 ** 32), at)
  buffer.writeUInt32BE(value % 2 ** 32, at + 4)
}

const outputHeads: Readonly<Record<Stream, Buffer>> = {
  stdout: makeOutputHead('stdout'),
  stderr: makeOutputHead('stderr'),
  tty: makeOutputHead('tty'),
}

function outputHead(stream: Stream): Buffer {
  return outputHeads[stream]
}

function makeOutputHead(stream: Stream): Buffer {
  return makeHead('output', 'application/octet-stream', [
    stringHeader(STREAM, stream),
    cursorHeader(),
  ])
}

function makeJsonHead(type: string): Buffer {
  return makeHead(type, 'application/json', [cursorHeader()])
}

const jsonHeads: Readonly<Record<Exclude<Frame['type'], 'output' | 'error'>, Buffer>> = {
  start: makeJsonHead('start'),
  gap: makeJsonHead('gap'),
  exit: makeJsonHead('exit'),
  end: makeJsonHead('end'),
  keepalive: makeJsonHead('keepalive'),
}

const errorHead = makeHead('error', 'application/json', [])

function makeHead(eventType: string, contentType: string, more: readonly Buffer[]): Buffer {
  return Buffer.concat([
    Buffer.alloc(PRELUDE_BYTES),
    stringHeader(MESSAGE_TYPE, 'event'),
    stringHeader(EVENT_TYPE, eventType),
    stringHeader(CONTENT_TYPE, contentType),
    ...more,
  ])
}

/** Name's length, name, tag, value's length in two bytes, value. All of them ASCII. */
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
