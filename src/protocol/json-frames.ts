/** Frames as JSON: one flat object each, `type` first, no field missing. */

import { isUtf8 } from 'node:buffer'
import { matchesSchema } from '../util/matches-schema.ts'
import { asBuffer } from './bytes.ts'
import type { Frame, OutputFrame, PlainFrame } from './frames.ts'
import { ProtocolError } from './protocol-error.ts'
import { type Base64Frame, frameSchemas, type TextFrame } from './schemas/frame-schema.ts'

export type JsonFrame = PlainFrame | TextFrame | Base64Frame

type PlainType = PlainFrame['type']

/** The object that the JSON encodings send: the fields of the schema, in its order. */
export function frameToJson(frame: Frame): JsonFrame {
  return frame.type === 'output' ? outputToJson(frame) : withFieldsOf(frame.type, frame)
}

/**
 * The frame that a JSON value stands for, `output` excepted. Unknown fields are dropped.
 *
 * @throws ProtocolError `malformed` for an unknown type, and for a field that is missing or does not match its schema
 */
export function frameFromJson(value: unknown): PlainFrame {
  if (typeof value !== 'object' || value === null || !('type' in value)) {
    throw new ProtocolError('malformed', 'a frame is not an object with a type')
  }
  if (!isPlainType(value.type)) {
    throw new ProtocolError('malformed', 'a frame has an unknown type')
  }
  const own = new Map<string, unknown>(Object.entries(value))
  for (const [name, schema] of Object.entries(frameSchemas[value.type].properties)) {
    if (matchesSchema(schema, own.get(name))) continue
    throw new ProtocolError('malformed', `the field ${name} of a frame is missing or invalid`)
  }
  return withFieldsOf(value.type, value)
}

/** The names of the fields of each frame, in the order of its schema. */
const fieldNames: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries(frameSchemas).map(([type, { properties }]) => [type, Object.keys(properties)]),
)

/** A copy with the fields of the frame's schema, and no others. */
function withFieldsOf(type: PlainType, frame: object): PlainFrame {
  const copy: Record<string, unknown> = {}
  for (const name of fieldNames.get(type) ?? []) copy[name] = Reflect.get(frame, name)
  return copy as unknown as PlainFrame
}

function isPlainType(type: unknown): type is PlainType {
  return typeof type === 'string' && Object.hasOwn(frameSchemas, type)
}

function outputToJson({ type, stream, cursor, bytes }: OutputFrame): TextFrame | Base64Frame {
  const buffer = asBuffer(bytes)
  return isUtf8(bytes)
    ? { type, stream, cursor, text: buffer.toString('utf8') }
    : { type, stream, cursor, base64: buffer.toString('base64') }
}
