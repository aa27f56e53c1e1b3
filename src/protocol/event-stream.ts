/** The Amazon event stream, both ways. */

export { createEventStreamDecoder } from './event-stream-decode.ts'
export { encodeEventStream } from './event-stream-encode.ts'
