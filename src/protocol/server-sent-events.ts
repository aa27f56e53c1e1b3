/** `text/event-stream`: server-sent events (WHATWG HTML, 9.2). */

import { eventId } from './event-id.ts'
import type { Frame } from './frames.ts'
import { frameToJson } from './json-frames.ts'
import { encodeOutput } from './output-json.ts'

/** One event for each frame: `event:` is its type, `id:` its event id, `data:` its JSON, which has no line break. */
export function encodeServerSentEvent(frame: Frame): Uint8Array[] {
  if (frame.type === 'output') {
    return encodeOutput(`event: output\nid: ${eventId(frame)}\ndata: `, frame, '\n\n')
  }
  const id = eventId(frame)
  const data = JSON.stringify(frameToJson(frame))
  return [Buffer.from(`event: ${frame.type}\n${id === null ? '' : `id: ${id}\n`}data: ${data}\n\n`)]
}
