/** The options of `guestctl volume create`. */
import { BLOCK_BYTES, type CreateOptions, MAX_BYTES, MIN_BYTES } from '../volume/create-volume.ts'
import { type Arguments, UsageError } from './command-spec.ts'
import { parseCount, parseSize } from './values.ts'

export const DEFAULT_SIZE = '1GiB'
export const DEFAULT_LABEL = 'guestd-workspace'

/** @throws UsageError with the allowed values */
export function readCreateOptions(args: Arguments): CreateOptions {
  const bytes = sizeOf(args.value('size') ?? DEFAULT_SIZE)
  return {
    bytes,
    label: labelOf(args.value('label') ?? DEFAULT_LABEL),
    files: filesOf(args.value('files'), bytes),
    mmp: args.has('mmp'),
    sessionId: sessionOf(args.value('session')),
  }
}

/** EXT4_LABEL_MAX, e2label(8). */
const MAX_LABEL_BYTES = 16
/** `1GB` is ambiguous: disks of that size have 1,000 ** 3 bytes. */
const DECIMAL = /^([\d.]+)([kmgt])b$/i
/** The same pattern as in the API. */
const SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

function sizeOf(text: string): number {
  const refuse = (why: string) => new UsageError(`--size: '${text}' ${why}`)
  const [, number, unit] = DECIMAL.exec(text) ?? []
  if (unit !== undefined)
    throw refuse(`may mean powers of 1,000: for those of 1,024 say ${number}${unit}iB`)
  const bytes = parseSize('--size', text)
  if (bytes < MIN_BYTES) throw refuse('is too small: with less than 16MiB there is no journal')
  if (bytes > MAX_BYTES) throw refuse('is too large: 8TiB is the most')
  if (bytes % BLOCK_BYTES !== 0) throw refuse('is not a multiple of 4 KiB')
  return bytes
}

/** More files than blocks could only be empty ones. */
function filesOf(text: string | undefined, bytes: number): number | null {
  if (text === undefined) return null
  const files = parseCount('--files', text)
  const most = bytes / BLOCK_BYTES
  if (files >= 1 && files <= most) return files
  throw new UsageError(
    `--files: '${text}' is not from 1 to ${most}, which is one for every 4 KiB of the size`,
  )
}

function labelOf(text: string): string {
  const bytes = Buffer.byteLength(text)
  if (bytes <= MAX_LABEL_BYTES) return text
  throw new UsageError(
    `--label: '${text}' has ${bytes} bytes; a label has ${MAX_LABEL_BYTES} at most`,
  )
}

/** @throws UsageError */
export function sessionOf(id: string | undefined): string | null {
  if (id === undefined || SESSION_ID.test(id)) return id ?? null
  throw new UsageError(`--session: '${id}' is not the id of a session`)
}
