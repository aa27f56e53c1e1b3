/** Reads JSON bodies: UTF-8 only, bounded in size, structure and time. A handler runs after the whole body is read. */

import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { GuestdError } from '../errors.ts'
import { messageOf } from '../util/message-of.ts'
import { checkJsonBounds } from './json-bounds.ts'
import { createMemoryBudget, type MemoryBudget } from './memory-budget.ts'
import type { App } from './types.ts'

/**
 * Longest JSON body, in bytes. A script of 1 MiB fits with every byte written as `\u00XX`, and the other fields with it.
 */
export const MAX_JSON_BYTES = 8 * 1024 * 1024

/**
 * Most bytes that all incomplete bodies hold together, on all listeners. The free part of each body (`FREE_BYTES`) comes
 * on top; `maxConnections` bounds the number of bodies.
 */
const MAX_UNFINISHED_BYTES = 16 * 1024 * 1024

/**
 * Accepts `application/json` and refuses any other media type. A route without a body schema also
 * accepts an empty body of any media type: many clients send a content type with every request.
 */
export function acceptJsonOnly(app: App, timeoutMs: number): void {
  const budget = createMemoryBudget(MAX_UNFINISHED_BYTES)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    async (request: FastifyRequest, body: IncomingMessage) => {
      const bytes = await readBody(body, { timeoutMs, budget })
      return bytes.length === 0 && !hasBodySchema(request) ? undefined : parseJson(bytes)
    },
  )
  app.addContentTypeParser('*', async (request: FastifyRequest) => {
    if (hasBodySchema(request) || !isBodiless(request)) {
      const detail = 'the body has to be JSON: send Content-Type: application/json'
      throw new GuestdError('unsupported_media_type', detail, { field: 'content-type' })
    }
  })
}

function hasBodySchema({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.schema?.body !== undefined
}

function isBodiless({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
}

export interface ReadBodyOptions {
  readonly timeoutMs: number
  readonly budget: MemoryBudget
}

/**
 * @throws GuestdError `too_large`, `request_timeout`, `overloaded`; Error when the client disconnects
 */
export function readBody(
  body: IncomingMessage,
  { timeoutMs, budget }: ReadBodyOptions,
): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const tooLarge = () =>
    new GuestdError('too_large', `a JSON body has at most ${MAX_JSON_BYTES} bytes`)
  if (Number(body.headers['content-length']) > MAX_JSON_BYTES) return Promise.reject(tooLarge())
  const bytes = createCollector()
  const share = budget.open()

  const settle = () => {
    clearTimeout(timer)
    share.release()
    // The error listener stays: otherwise a later reset of the connection would be an uncaught error.
    body.off('data', onData).off('end', onEnd).off('close', onClose)
  }
  const fail = (error: Error) => {
    settle()
    reject(error)
  }
  const onData = (chunk: Buffer) => {
    const capacity = bytes.capacityWith(chunk.length)
    if (bytes.length + chunk.length > MAX_JSON_BYTES) fail(tooLarge())
    else if (share.hold(capacity)) bytes.add(chunk)
    else fail(new GuestdError('overloaded', 'unfinished bodies hold too much memory'))
  }
  const onEnd = () => {
    settle()
    resolve(bytes.whole())
  }
  const onClose = () => fail(new Error('the client disconnected before the end of its body'))
  const onTimeout = () =>
    fail(new GuestdError('request_timeout', `the body took longer than ${timeoutMs} ms`))

  const timer = setTimeout(onTimeout, timeoutMs)
  body.on('data', onData).on('end', onEnd).on('error', fail).on('close', onClose)
  return promise
}

/** @throws GuestdError `invalid_json`; `invalid_request` or `too_large` for the structure */
export function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) throw refuse('the body is empty')
  if (!isUtf8(bytes)) throw refuse('the body is not UTF-8')
  checkJsonBounds(bytes)
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw refuse(messageOf(error))
  }
  // JSON can name half of a surrogate pair, which UTF-8 cannot encode.
  if (bytes.includes('\\u') && hasLoneSurrogate(value)) {
    throw refuse('a text has half of a surrogate pair in it')
  }
  return value
}

const NO_BYTES = Buffer.alloc(0)

/**
 * Joins chunks in one buffer that doubles when it is full. A list of chunks would cost about 100 bytes for each chunk,
 * and a chunk can be one byte.
 */
function createCollector() {
  let buffer: Buffer = NO_BYTES
  let length = 0
  const capacityWith = (more: number) =>
    length + more <= buffer.length
      ? buffer.length
      : Math.max(length + more, Math.min(MAX_JSON_BYTES, 2 * length))
  return {
    get length() {
      return length
    },
    /** Size of the buffer after `more` bytes are added. */
    capacityWith,
    add(chunk: Buffer) {
      if (length === 0) {
        // Most bodies are one chunk: it is not copied.
        buffer = chunk
      } else {
        const capacity = capacityWith(chunk.length)
        if (capacity > buffer.length) {
          const grown = Buffer.allocUnsafeSlow(capacity)
          buffer.copy(grown, 0, 0, length)
          buffer = grown
        }
        chunk.copy(buffer, length)
      }
      length += chunk.length
    },
    whole: () => buffer.subarray(0, length),
  }
}

/** Uses no recursion, so the nesting cannot overflow the stack. */
function hasLoneSurrogate(value: unknown): boolean {
  const left: unknown[] = [value]
  while (left.length > 0) {
    const one = left.pop()
    if (typeof one === 'string' && !one.isWellFormed()) return true
    if (typeof one !== 'object' || one === null) continue
    for (const [name, member] of Object.entries(one)) left.push(name, member)
  }
  return false
}

function refuse(detail: string): GuestdError {
  return new GuestdError('invalid_json', detail)
}
