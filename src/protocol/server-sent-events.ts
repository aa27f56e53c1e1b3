/** `text/event-stream`: server-sent events (WHATWG HTML, 9.2). */

import { frameToJson } from './frame-to-json.ts'
import type { Frame } from './frames.ts'
import { encodeOutput } from './output-json.ts'

/**
 * One event a frame: `event:` its type, `id:` the cursor after it (an `error` has none), `data:`
 * the JSON, in which no line break can be.
 */
export function encodeServerSentEvent(frame: Frame): Uint8Array[] {
  if (frame.type === 'output') {
    return encodeOutput(`event: output\nid: ${frame.cursor}\ndata: `, frame, '\n\n')
  }
  const id = frame.type === 'error' ? '' : `id: ${frame.cursor}\n`
  const data = JSON.stringify(frameToJson(frame))
  return [Buffer.from(`event: ${frame.type}\n${id}data: ${data}\n\n`)]
}
