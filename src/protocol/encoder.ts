/** Encodes frames as the body of a reply. */

import { encodeEventStream } from './event-stream-encode.ts'
import type { Frame } from './frames.ts'
import { encodeNdjson } from './ndjson.ts'
import type { StreamMediaType } from './negotiate.ts'
import { encodeServerSentEvent } from './server-sent-events.ts'

export interface FrameEncoder {
  /** For the Content-Type header. */
  readonly mediaType: StreamMediaType
  /**
   * The bytes of one frame, in chunks to write in this order. In the event stream a chunk is the memory of the frame's
   * own bytes: it must not change until it is written.
   */
  encode(frame: Frame): Uint8Array[]
}

/** An encoder for each media type but `application/json`, which is one object at the end (createSummary). */
export function createEncoder(mediaType: StreamMediaType): FrameEncoder {
  return { mediaType, encode: encodings[mediaType] }
}

const encodings: Readonly<Record<StreamMediaType, FrameEncoder['encode']>> = {
  'application/x-ndjson': encodeNdjson,
  'application/vnd.amazon.eventstream': encodeEventStream,
  'text/event-stream': encodeServerSentEvent,
}
