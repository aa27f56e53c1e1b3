/** From frames to the bytes of a response. */

import { encodeEventStream } from './event-stream-encode.ts'
import type { Frame } from './frames.ts'
import { encodeNdjson } from './ndjson.ts'
import type { StreamMediaType } from './negotiate.ts'
import { encodeServerSentEvent } from './server-sent-events.ts'

export interface FrameEncoder {
  /** For the Content-Type header. */
  readonly mediaType: StreamMediaType
  /**
   * The bytes of one frame, as chunks to write in this order. In the event stream the payload is
   * the frame's own memory: it has to stay as it is until the chunk is written.
   */
  encode(frame: Frame): Uint8Array[]
}

/** `application/json` has no encoder: it is one object at the end, made by createSummary. */
export function createEncoder(mediaType: StreamMediaType): FrameEncoder {
  return { mediaType, encode: encodings[mediaType] }
}

const encodings: Readonly<Record<StreamMediaType, FrameEncoder['encode']>> = {
  'application/x-ndjson': encodeNdjson,
  'application/vnd.amazon.eventstream': encodeEventStream,
  'text/event-stream': encodeServerSentEvent,
}
