/** Chooses the encoding of a reply by the Accept header (RFC 9110, 12.5.1). */

import { GuestdError } from '../errors.ts'

/** The encodings of a command's frames, in guestd's order of preference. */
export const mediaTypes = [
  'application/x-ndjson',
  'application/vnd.amazon.eventstream',
  'text/event-stream',
  'application/json',
] as const
export type MediaType = (typeof mediaTypes)[number]

/** The encodings that are sent frame by frame. `application/json` is sent at the end. */
export type StreamMediaType = Exclude<MediaType, 'application/json'>

/** Longest Accept header that is read, in characters: browsers send about 150. */
const MAX_ACCEPT_LENGTH = 4096

/** An element of an Accept header, in lower case. */
interface Range {
  readonly type: string
  readonly subtype: string
  readonly utf8: boolean
  readonly quality: number
}

/**
 * Chooses by quality, then by how exactly a range names the type, then by the client's order, then
 * by guestd's. Parameters other than `q` and `charset` are ignored (RFC 2045). A range with a
 * charset other than UTF-8 matches nothing.
 *
 * @param accept the header; undefined or empty accepts everything
 * @param offered the types to choose from, in guestd's order of preference; default: all
 * @throws GuestdError `not_acceptable` if nothing matches, or the header is invalid or longer than 4,096 characters
 */
export function negotiate(accept: string | undefined): MediaType
export function negotiate<T extends MediaType>(
  accept: string | undefined,
  offered: readonly [T, ...T[]],
): T
export function negotiate(
  accept: string | undefined,
  offered: readonly [MediaType, ...MediaType[]] = mediaTypes,
): MediaType {
  if (accept === undefined || accept.trim() === '') return offered[0]
  const ranges = parseAccept(accept)
  let best: { readonly type: MediaType; readonly rank: Rank } | undefined
  for (const type of offered) {
    const rank = rankOf(type, ranges)
    if (rank === undefined || rank.quality === 0) continue
    if (best === undefined || isBetter(rank, best.rank)) best = { type, rank }
  }
  if (best === undefined) {
    throw refuse(`Accept allows none of ${offered.join(', ')}`)
  }
  return best.type
}

interface Rank {
  readonly quality: number
  /** 2: the type itself, 1: `type/*`, 0: every type. */
  readonly exactness: number
  readonly position: number
}

/** The rank of a type by the most exact range that matches it. */
function rankOf(mediaType: MediaType, ranges: readonly Range[]): Rank | undefined {
  let best: Rank | undefined
  for (const [position, range] of ranges.entries()) {
    const exactness = matchExactness(mediaType, range)
    if (exactness === undefined) continue
    if (best === undefined || exactness > best.exactness) {
      best = { quality: range.quality, exactness, position }
    }
  }
  return best
}

function matchExactness(mediaType: MediaType, range: Range): number | undefined {
  if (!range.utf8) return undefined
  if (range.type === '*') return 0
  if (range.subtype === '*') return mediaType.startsWith(`${range.type}/`) ? 1 : undefined
  return mediaType === `${range.type}/${range.subtype}` ? 2 : undefined
}

function isBetter(a: Rank, b: Rank): boolean {
  if (a.quality !== b.quality) return a.quality > b.quality
  if (a.exactness !== b.exactness) return a.exactness > b.exactness
  return a.position < b.position
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const QUOTED = '"(?:[\\t !#-\\[\\]-~\\x80-\\xff]|\\\\[\\t -~\\x80-\\xff])*"'
const mediaRange = new RegExp(`(${TOKEN})/(${TOKEN})`, 'y')
const parameter = new RegExp(`[ \\t]*;[ \\t]*(?:(${TOKEN})=(${TOKEN}|${QUOTED}))?`, 'y')
const separators = /[ \t,]*/y
const elementEnd = /[ \t]*(?:,|$)/y
const weight = /^(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/

function parseAccept(accept: string): readonly Range[] {
  if (accept.length > MAX_ACCEPT_LENGTH) {
    throw refuse(`Accept is longer than ${MAX_ACCEPT_LENGTH} characters`)
  }
  const ranges: Range[] = []
  let at = matchAt(separators, accept, 0)?.end ?? 0
  while (at < accept.length) {
    const parsed = parseRange(accept, at)
    ranges.push(parsed.range)
    at = matchAt(separators, accept, parsed.end)?.end ?? parsed.end
  }
  return ranges
}

function parseRange(accept: string, start: number): { range: Range; end: number } {
  const named = matchAt(mediaRange, accept, start)
  if (named === undefined) throw invalid(start)
  const type = (named.groups[0] ?? '').toLowerCase()
  const subtype = (named.groups[1] ?? '').toLowerCase()
  if (type === '*' && subtype !== '*') throw invalid(start)
  let end = named.end
  let utf8 = true
  let quality = 1
  for (;;) {
    const found = matchAt(parameter, accept, end)
    if (found === undefined) break
    const name = found.groups[0]?.toLowerCase()
    const value = unquote(found.groups[1] ?? '')
    if (name === 'q') {
      if (!weight.test(value)) throw invalid(end)
      quality = Number(value)
    } else if (name === 'charset') {
      utf8 = /^utf-?8$/i.test(value)
    }
    end = found.end
  }
  const closed = matchAt(elementEnd, accept, end)
  if (closed === undefined) throw invalid(end)
  return { range: { type, subtype, utf8, quality }, end: closed.end }
}

function matchAt(
  pattern: RegExp,
  text: string,
  at: number,
): { groups: readonly (string | undefined)[]; end: number } | undefined {
  pattern.lastIndex = at
  const found = pattern.exec(text)
  return found === null ? undefined : { groups: found.slice(1), end: at + found[0].length }
}

function unquote(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replaceAll(/\\(.)/g, '$1') : value
}

function invalid(at: number): GuestdError {
  return refuse(`Accept is invalid at character ${at + 1}`)
}

function refuse(detail: string): GuestdError {
  return new GuestdError('not_acceptable', detail, { field: 'accept' })
}
