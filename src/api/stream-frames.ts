/** Streams the frames of a command into a response, as fast as the client reads. */

import type { ServerResponse } from 'node:http'
import type { FrameReader } from '../commands/types.ts'
import { asGuestdError } from '../errors.ts'
import { createEncoder } from '../protocol/encoder.ts'
import type { Frame } from '../protocol/frames.ts'
import type { StreamMediaType } from '../protocol/negotiate.ts'
import { beginStream } from './begin-stream.ts'
import { createKeepalive } from './keepalive.ts'

/**
 * Most bytes of output in a frame. A client parses a text frame as a whole; it can pass on the bytes of a binary frame.
 */
const TEXT_FRAME_BYTES = 64 * 1024
const BINARY_FRAME_BYTES = 256 * 1024

export interface StreamOptions {
  readonly response: ServerResponse
  readonly reader: FrameReader
  readonly mediaType: StreamMediaType
  readonly headers: Readonly<Record<string, string>>
  /** Longest silence before a keepalive, in milliseconds. */
  readonly keepaliveMs: number
  /** Called when guestd fails. The client gets an `error` frame. */
  readonly onError: (error: unknown) => void
}

/**
 * Pulls frames from the reader until it is done or the client disconnects, then closes it. Output that the client does
 * not read stays in the log of the command: at most one frame and the response's high-water mark wait in memory.
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
    // The socket is gone, but the response is not closed yet: Node would discard a write.
    if (response.socket?.destroyed) return
    keepalive.refresh()
    // The socket has taken everything: no frame is in use any more.
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

  if (!beginStream(response, { mediaType, keepaliveMs, headers }, close)) return
  reader.onReadable = pump
  response.on('drain', pump)
  pump()
  // Without a frame the head would wait for the first one. After a frame a flush would write nothing.
  if (!hasSent) response.flushHeaders()
}

/** Sends the frames that are available, or as many as the response takes, in one write to the socket. */
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
    // After uncork: otherwise the end would be sent before the corked frames.
    if (reader.done) response.end()
    socket?.uncork()
  }
}
