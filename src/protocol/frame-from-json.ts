/** From the JSON form back to the frame in memory, every field checked. */

import {
  type Cause,
  causes,
  type ExitFrame,
  type Frame,
  type OutputFrame,
  type Stream,
  streams,
} from './frames.ts'
import { ProtocolError } from './protocol-error.ts'

/**
 * The frame that a JSON value stands for. Fields that are not known are left out; a type that is
 * not known, a field that is missing or has another type is an error.
 *
 * @throws ProtocolError `malformed`
 */
export function frameFromJson(value: unknown): Frame {
  const fields = readFields(value)
  switch (fields.value('type')) {
    case 'start':
      return {
        type: 'start',
        id: fields.string('id'),
        pid: fields.nullable('pid', fields.count),
        startedAt: fields.string('startedAt'),
        cwd: fields.string('cwd'),
        user: fields.string('user'),
        cursor: fields.count('cursor'),
      }
    case 'output':
      return outputFromFields(fields)
    case 'gap':
      return {
        type: 'gap',
        from: fields.count('from'),
        to: fields.count('to'),
        cursor: fields.count('cursor'),
      }
    case 'exit':
      return exitFromFields(fields)
    case 'end':
      return {
        type: 'end',
        stdoutBytes: fields.count('stdoutBytes'),
        stderrBytes: fields.count('stderrBytes'),
        truncated: fields.count('truncated'),
        descendants: fields.count('descendants'),
        cursor: fields.count('cursor'),
      }
    case 'keepalive':
      return { type: 'keepalive', at: fields.string('at'), cursor: fields.count('cursor') }
    case 'error':
      return { type: 'error', code: fields.string('code'), message: fields.string('message') }
    default:
      throw new ProtocolError('malformed', 'a frame has a type that is not known')
  }
}

/** The stream that a name stands for. @throws ProtocolError `malformed` */
export function toStream(name: unknown): Stream {
  const stream = streams.find(known => known === name)
  if (stream === undefined) throw wrong('stream')
  return stream
}

function outputFromFields(fields: Fields): OutputFrame {
  const stream = toStream(fields.value('stream'))
  const cursor = fields.count('cursor')
  const text = fields.value('text')
  const bytes = text === undefined ? fromBase64(fields.string('base64')) : fromText(text)
  return { type: 'output', stream, cursor, bytes }
}

/** Half of a surrogate pair has no bytes that it could stand for. */
function fromText(text: unknown): Uint8Array {
  if (typeof text !== 'string' || !text.isWellFormed()) throw wrong('text')
  return Buffer.from(text)
}

/** Buffer skips characters that are not of base64: then bytes are missing. */
function fromBase64(base64: string): Uint8Array {
  const bytes = Buffer.from(base64, 'base64')
  const isWhole = base64.length % 4 === 0 && bytes.length === Buffer.byteLength(base64, 'base64')
  if (!isWhole) throw wrong('base64')
  return bytes
}

function exitFromFields(fields: Fields): ExitFrame {
  return {
    type: 'exit',
    exitCode: fields.nullable('exitCode', fields.count),
    signal: fields.nullable('signal', fields.string),
    cause: toCause(fields.value('cause')),
    stage: fields.nullable('stage', fields.string),
    errno: fields.nullable('errno', fields.string),
    interpreter: fields.nullable('interpreter', fields.string),
    oomScope: toOomScope(fields.value('oomScope')),
    workspaceFull: toWorkspaceFull(fields.value('workspaceFull')),
    durationMs: fields.amount('durationMs'),
    cpuMs: fields.nullable('cpuMs', fields.amount),
    maxRssBytes: fields.nullable('maxRssBytes', fields.count),
    cursor: fields.count('cursor'),
  }
}

function toCause(name: unknown): Cause {
  const cause = causes.find(known => known === name)
  if (cause === undefined) throw wrong('cause')
  return cause
}

function toWorkspaceFull(value: unknown): ExitFrame['workspaceFull'] {
  if (value === null || value === 'bytes' || value === 'inodes') return value
  throw wrong('workspaceFull')
}

function toOomScope(value: unknown): ExitFrame['oomScope'] {
  if (value === null || value === 'command' || value === 'machine') return value
  throw wrong('oomScope')
}

interface Fields {
  value(name: string): unknown
  string(name: string): string
  /** A whole number from 0 that is exact. */
  count(name: string): number
  /** A number from 0. */
  amount(name: string): number
  nullable<T>(name: string, read: (name: string) => T): T | null
}

function readFields(object: unknown): Fields {
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    throw new ProtocolError('malformed', 'a frame is not an object')
  }
  const values = new Map<string, unknown>(Object.entries(object))
  const value = (name: string) => values.get(name)
  return {
    value,
    string(name) {
      const found = value(name)
      if (typeof found !== 'string') throw wrong(name)
      return found
    },
    count(name) {
      const found = value(name)
      if (typeof found !== 'number' || !Number.isSafeInteger(found) || found < 0) throw wrong(name)
      return found
    },
    amount(name) {
      const found = value(name)
      if (typeof found !== 'number' || !(found >= 0)) throw wrong(name)
      return found
    },
    nullable(name, read) {
      return value(name) === null ? null : read(name)
    },
  }
}

function wrong(field: string): ProtocolError {
  return new ProtocolError('malformed', `the field ${field} of a frame is missing or wrong`)
}
