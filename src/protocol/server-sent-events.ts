/** `text/event-stream`: server-sent events (WHATWG HTML, 9.2). */

import { eventId } from './event-id.ts'
import { frameToJson } from './frame-to-json.ts'
import type { Frame } from './frames.ts'
import { encodeOutput } from './output-json.ts'

/**
 * One event a frame: `event:` its type, `id:` what `eventId` gives it, `data:` the JSON, in which no line
 * break can be.
 */
export function encodeServerSentEvent(frame: Frame): Uint8Array[] {
  if (frame.type === 'output') {
    return encodeOutput(`event: output\nid: ${eventId(frame)}\ndata: `, frame, '\n\n')
  }
  const id = eventId(frame)
  const data = JSON.stringify(frameToJson(frame))
  return [Buffer.from(`event: ${frame.type}\n${id === null ? '' : `id: ${id}\n`}data: ${data}\n\n`)]
}
