/**
 * The JSON of an `output` frame, as bytes. It is written by hand and not by JSON.stringify, because output is nearly all
 * of what guestd sends: `make bench` measures 1 GiB of it in each encoding.
 */

import { isUtf8 } from 'node:buffer'
import { asBuffer } from './bytes.ts'
import type { OutputFrame } from './frames.ts'
import { jsonText } from './json-text.ts'

/**
 * The bytes of `JSON.stringify(frameToJson(frame))` between two texts.
 *
 * @param before ASCII
 * @param after ASCII
 */
export function encodeOutput(before: string, frame: OutputFrame, after: string): Uint8Array[] {
  const bytes = asBuffer(frame.bytes)
  const head = `${before}{"type":"output","stream":"${frame.stream}","cursor":${frame.cursor},`
  if (isUtf8(bytes)) return jsonText(`${head}"text":"`, bytes, `"}${after}`)
  return [Buffer.from(`${head}"base64":"${bytes.toString('base64')}"}${after}`, 'latin1')]
}
