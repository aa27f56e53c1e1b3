/** Streams a command's frames into a response, as fast as the client takes them. */

import type { ServerResponse } from 'node:http'
import type { FrameReader } from '../commands/types.ts'
import { asGuestdError } from '../errors.ts'
import { createEncoder } from '../protocol/encoder.ts'
import type { Frame } from '../protocol/frames.ts'
import type { StreamMediaType } from '../protocol/negotiate.ts'
import { createKeepalive, NO_PROXY_BUFFER } from './keepalive.ts'

/**
 * Most bytes of output in a frame. A frame made of text is handled as a whole by its reader; one of
 * the event stream is bytes that pass through.
 */
const TEXT_FRAME_BYTES = 64 * 1024
const BINARY_FRAME_BYTES = 256 * 1024

export interface StreamOptions {
  readonly response: ServerResponse
  readonly reader: FrameReader
  readonly mediaType: StreamMediaType
  readonly headers: Readonly<Record<string, string>>
  /** How long a stream may be silent before a keepalive, in milliseconds. */
  readonly keepaliveMs: number
  /** Told when guestd itself failed; the client gets an `error` frame. */
  readonly onError: (error: unknown) => void
}

/**
 * Pulls frames from the reader until it is done or the client has gone, and closes it then. What
 * the client does not take stays in the command's log: at most one frame and the response's own
 * high mark wait in memory.
 */
export function streamFrames(options: StreamOptions): void {
  const { response, reader, mediaType, headers, keepaliveMs, onError } = options
  const encoder = createEncoder(mediaType)
  let hasSent = false
  const maxBytes =
    mediaType === 'application/vnd.amazon.eventstream' ? BINARY_FRAME_BYTES : TEXT_FRAME_BYTES

  const close = () => {
    keepalive.stop()
    reader.close()
  }

  const send = (frame: Frame) => {
    hasSent = true
    for (const chunk of encoder.encode(frame)) response.write(chunk)
  }

  const keepalive = createKeepalive(response, keepaliveMs, () =>
    send({ type: 'keepalive', at: new Date().toISOString(), cursor: reader.cursor }),
  )

  const pump = () => {
    if (response.writableNeedDrain || response.destroyed || response.writableEnded) return
    // Until the response is closed, Node discards what is written to it.
    if (response.socket?.destroyed) return
    keepalive.refresh()
    // The socket has taken all: none of the frames is used any more.
    if (response.writableLength === 0) reader.release()
    try {
      sendAll(options, maxBytes, send)
    } catch (error) {
      onError(error)
      const { code, message } = asGuestdError(error)
      send({ type: 'error', code, message })
      response.end()
    }
  }

  response.on('close', close)
  // Cut before there was a reply: the reader was attached, and is given up like any other.
  if (response.destroyed) {
    close()
    return
  }
  response.writeHead(200, {
    'Content-Type': mediaType,
    'Cache-Control': 'no-store',
    ...NO_PROXY_BUFFER,
    // Clients derive from it how much silence means a lost connection.
    'Guestd-Keepalive-Ms': String(keepaliveMs),
    ...headers,
  })
  reader.onReadable = pump
  response.on('drain', pump)
  pump()
  // Without a frame so far the head would wait for the first one. After one it would be a write of no bytes.
  if (!hasSent) response.flushHeaders()
}

/** All that there is at present, or as much as the response takes, in one piece to the socket. */
function sendAll(
  { response, reader }: StreamOptions,
  maxBytes: number,
  send: (frame: Frame) => void,
): void {
  const { socket } = response
  socket?.cork()
  response.cork()
  try {
    for (let frame = reader.read(maxBytes); frame !== null; frame = reader.read(maxBytes)) {
      send(frame)
      if (response.writableNeedDrain) break
    }
  } finally {
    response.uncork()
    // Before that, the end would overtake what is corked.
    if (reader.done) response.end()
    socket?.uncork()
  }
}
