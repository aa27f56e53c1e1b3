/** Replies with the frames of a command as one JSON object. */

import type { ServerResponse } from 'node:http'
import type { FrameReader } from '../commands/types.ts'
import { createSummary } from '../protocol/summary.ts'
import { createKeepalive, NO_PROXY_BUFFER } from './keepalive.ts'
import type { MemoryShare } from './memory-budget.ts'

/** Most bytes of output in one read. */
const READ_BYTES = 256 * 1024

export interface SummaryOptions {
  readonly response: ServerResponse
  readonly reader: FrameReader
  readonly headers: Readonly<Record<string, string>>
  /** Bytes kept of each stream; undefined: 1 MiB. */
  readonly limitBytes: number | undefined
  /** Part of the memory that all such replies share. */
  readonly share: MemoryShare
  /** Longest silence before white space is sent, in milliseconds. */
  readonly keepaliveMs: number
  /** Called when guestd fails. The reply is then cut, because its status is already sent. */
  readonly onError: (error: unknown) => void
}

/**
 * Sends the head at once, and one object when the reader is done. White space before the object keeps the connection
 * alive: clients such as undici time out after 300 s without a byte.
 */
export function sendSummary(options: SummaryOptions): void {
  const { response, reader, headers, limitBytes, share, keepaliveMs, onError } = options
  const summary = createSummary(limitBytes, share.hold)
  /** Set once the reader is done. */
  let pieces: Iterator<Uint8Array> | null = null
  const keepalive = createKeepalive(response, keepaliveMs, () => response.write(' '))
  const close = () => {
    keepalive.stop()
    reader.close()
    share.release()
  }
  const pull = () => {
    if (response.destroyed || response.writableEnded) return
    try {
      for (let frame = reader.read(READ_BYTES); frame !== null; frame = reader.read(READ_BYTES)) {
        summary.add(frame)
      }
      if (!reader.done) return
      // From here on white space would change the texts.
      keepalive.stop()
      pieces ??= summary.encode()
      sendPieces(response, pieces)
    } catch (error) {
      onError(error)
      response.destroy()
    }
  }

  response.on('close', close)
  // The client disconnected before the reply began.
  if (response.destroyed) {
    close()
    return
  }
  response.writeHead(200, {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
    ...NO_PROXY_BUFFER,
    ...headers,
  })
  response.flushHeaders()
  reader.onReadable = pull
  response.on('drain', pull)
  pull()
}

/** Sends as many pieces as the response takes, in one write to the socket. The reply ends after the last one. */
function sendPieces(response: ServerResponse, pieces: Iterator<Uint8Array>): void {
  const { socket } = response
  let isDone = false
  socket?.cork()
  response.cork()
  try {
    while (!isDone && !response.writableNeedDrain) {
      const { done, value } = pieces.next()
      isDone = done === true
      if (value !== undefined) response.write(value)
    }
  } finally {
    response.uncork()
    if (isDone) response.end()
    socket?.uncork()
  }
}
