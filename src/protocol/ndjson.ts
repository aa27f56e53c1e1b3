/** `application/x-ndjson`: one JSON object a line. */

import type { Frame } from './frames.ts'
import { frameToJson } from './json-frames.ts'
import { encodeOutput } from './output-json.ts'

/** The frame's line, with its newline. */
export function encodeNdjson(frame: Frame): Uint8Array[] {
  if (frame.type === 'output') return encodeOutput('', frame, '\n')
  return [Buffer.from(`${JSON.stringify(frameToJson(frame))}\n`)]
}
