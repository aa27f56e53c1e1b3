/**
 * The lines of the journal. Each is `CRC JSON`: a crc32 in eight hexadecimal digits, and the JSON that it covers.
 * A line counts only if its checksum is right and its JSON matches the schema.
 */
import { crc32 } from 'node:zlib'
import type { Static, TSchema } from 'typebox'
import * as Type from 'typebox'
import type { EndFacts, ExitFacts } from '../protocol/frames.ts'
import { endFields, exitFields } from '../protocol/schemas/frame-schema.ts'
import { matchesSchema } from '../util/matches-schema.ts'

const amount = Type.Number({ minimum: 0 })
const text = Type.String()
const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

const StartRecord = Type.Object({
  id: text,
  /** Digest of the request that started it; `null` when its id was made by guestd. */
  digest: orNull(text),
  startedAt: text,
  cwd: text,
  user: text,
  commandLine: text,
  detach: Type.Boolean(),
  onDisconnect: Type.Enum(['keep', 'kill']),
  cgroupPath: orNull(text),
})
export type StartRecord = Readonly<Static<typeof StartRecord>>

const PidRecord = Type.Object({
  pid: amount,
  /** Field 22 of /proc/PID/stat: with the pid it names one process; `null` where a cgroup does. */
  startTime: orNull(amount),
})
export type PidRecord = Readonly<Static<typeof PidRecord>>

export interface EndRecord {
  readonly endedAt: string
  /** A record of an older guestd lacks the facts that were added since. */
  readonly exit: ExitFacts
  readonly end: Omit<EndFacts, 'truncated'>
}

/** The fields of an exit. Those that can be null can be missing. */
const storedExit = Object.fromEntries(
  Object.entries(exitFields).map(([name, schema]) => [
    name,
    'anyOf' in schema ? Type.Optional(schema) : schema,
  ]),
)

const { stdoutBytes, stderrBytes, descendants } = endFields

const EndRecord = Type.Object({
  endedAt: text,
  exit: Type.Object(storedExit),
  end: Type.Object({ stdoutBytes, stderrBytes, descendants }),
})

export interface Entry {
  readonly start: StartRecord
  readonly process: PidRecord | null
  readonly end: EndRecord | null
}

export type Line =
  | Header
  | { readonly op: 'start'; readonly id: string; readonly record: StartRecord }
  | { readonly op: 'pid'; readonly id: string; readonly record: PidRecord }
  | { readonly op: 'end'; readonly id: string; readonly record: EndRecord }
  | { readonly op: 'forget'; readonly id: string }

/** The first line. */
export interface Header {
  readonly op: 'journal'
  readonly version: number
  /** The boot in which it was written. */
  readonly bootId: string
}

/** Files of version 1 have neither a header nor checksums. */
export const VERSION = 2
/** Longest line, in bytes: a path of 8 KiB whose every byte JSON escapes, and the other fields. */
export const MAX_LINE_BYTES = 64 * 1024

const CRC_DIGITS = 8
const HEX = 16
const SPACE = 0x20
const BRACE = 0x7b

/** With the line break at its end. */
export function encodeLine(line: Line): string {
  const json = JSON.stringify(line)
  return `${crc32(json).toString(HEX).padStart(CRC_DIGITS, '0')} ${json}\n`
}

/** Whether a file that begins with this line is of version 1. */
export function isUnchecked(first: Buffer): boolean {
  return first[0] === BRACE
}

/**
 * @param unchecked a line without a checksum counts too
 * @returns `null` for a line that is damaged, or has another shape
 */
export function decodeLine(bytes: Buffer, unchecked: boolean): Line | null {
  if (unchecked && isUnchecked(bytes)) return parse(bytes)
  if (bytes[CRC_DIGITS] !== SPACE) return null
  const json = bytes.subarray(CRC_DIGITS + 1)
  const crc = bytes.toString('latin1', 0, CRC_DIGITS)
  if (!/^[0-9a-f]{8}$/.test(crc) || Number.parseInt(crc, HEX) !== crc32(json)) return null
  return parse(json)
}

/** Applies a line to the commands that the lines before it gave. */
export function applyLine(entries: Map<string, Entry>, line: Line): void {
  if (line.op === 'journal') return
  const entry = entries.get(line.id)
  if (line.op === 'start') entries.set(line.id, { start: line.record, process: null, end: null })
  else if (line.op === 'forget') entries.delete(line.id)
  else if (entry === undefined) return
  else if (line.op === 'pid') entries.set(line.id, { ...entry, process: line.record })
  else entries.set(line.id, { ...entry, end: line.record })
}

/** The fewest lines that give this entry. */
export function linesOf({ start, process, end }: Entry): readonly Line[] {
  const { id } = start
  return [
    { op: 'start', id, record: start },
    ...(process === null ? [] : [{ op: 'pid', id, record: process } as const]),
    ...(end === null ? [] : [{ op: 'end', id, record: end } as const]),
  ]
}

function parse(json: Buffer): Line | null {
  try {
    const line: unknown = JSON.parse(json.toString('utf8'))
    return isLine(line) ? line : null
  } catch {
    return null
  }
}

const schemas: Readonly<Record<Line['op'], TSchema>> = {
  journal: Type.Object({ version: amount, bootId: text }),
  start: Type.Object({ id: text, record: StartRecord }),
  pid: Type.Object({ id: text, record: PidRecord }),
  end: Type.Object({ id: text, record: EndRecord }),
  forget: Type.Object({ id: text }),
}

function isLine(value: unknown): value is Line {
  if (typeof value !== 'object' || value === null || !('op' in value)) return false
  const { op } = value
  return (
    typeof op === 'string' &&
    Object.hasOwn(schemas, op) &&
    matchesSchema(schemas[op as Line['op']], value)
  )
}
