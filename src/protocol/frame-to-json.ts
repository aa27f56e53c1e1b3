/** The JSON form of frames: one flat object each, `type` first, no field missing. */

import { isUtf8 } from 'node:buffer'
import { asBuffer } from './bytes.ts'
import type { Frame, OutputFrame, Stream } from './frames.ts'

/** An `output` frame in JSON: `text` where the bytes are UTF-8, else `base64`. */
export type JsonOutputFrame = {
  readonly type: 'output'
  readonly stream: Stream
  readonly cursor: number
} & ({ readonly text: string } | { readonly base64: string })

export type JsonFrame = Exclude<Frame, OutputFrame> | JsonOutputFrame

/** The object that the JSON encodings send for a frame. */
export function frameToJson(frame: Frame): JsonFrame {
  switch (frame.type) {
    case 'output':
      return outputToJson(frame)
    case 'start': {
      const { type, id, pid, startedAt, cwd, user, cursor } = frame
      return { type, id, pid, startedAt, cwd, user, cursor }
    }
    case 'gap': {
      const { type, from, to, cursor } = frame
      return { type, from, to, cursor }
    }
    case 'exit': {
      const { type, exitCode, signal, cause, stage, errno, interpreter, oomScope } = frame
      const { workspaceFull, durationMs, cpuMs, maxRssBytes, cursor } = frame
      const how = { type, exitCode, signal, cause, stage, errno, interpreter, oomScope }
      return { ...how, workspaceFull, durationMs, cpuMs, maxRssBytes, cursor }
    }
    case 'end': {
      const { type, stdoutBytes, stderrBytes, truncated, descendants, cursor } = frame
      return { type, stdoutBytes, stderrBytes, truncated, descendants, cursor }
    }
    case 'keepalive': {
      const { type, at, cursor } = frame
      return { type, at, cursor }
    }
    case 'error': {
      const { type, code, message } = frame
      return { type, code, message }
    }
  }
}

function outputToJson({ type, stream, cursor, bytes }: OutputFrame): JsonOutputFrame {
  const buffer = asBuffer(bytes)
  return isUtf8(bytes)
    ? { type, stream, cursor, text: buffer.toString('utf8') }
    : { type, stream, cursor, base64: buffer.toString('base64') }
}
