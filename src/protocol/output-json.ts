/** The JSON of an `output` frame as bytes: the hot path of the encodings made of text. */

import { isUtf8 } from 'node:buffer'
import { asBuffer } from './bytes.ts'
import type { OutputFrame } from './frames.ts'
import { jsonText } from './json-text.ts'

/** The same as frameToJson in JSON.stringify, between `before` and `after`, both of them ASCII. */
export function encodeOutput(before: string, frame: OutputFrame, after: string): Uint8Array[] {
  const bytes = asBuffer(frame.bytes)
  const head = `${before}{"type":"output","stream":"${frame.stream}","cursor":${frame.cursor},`
  if (isUtf8(bytes)) return jsonText(`${head}"text":"`, bytes, `"}${after}`)
  return [Buffer.from(`${head}"base64":"${bytes.toString('base64')}"}${after}`, 'latin1')]
}
