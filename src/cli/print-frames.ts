/** Writes a command's frames to guestctl's own stdout and stderr. */

import type { EndFrame, ExitFrame, Frame } from '../client/index.ts'
import { encodeNdjson } from '../protocol/ndjson.ts'
import type { Context } from './command-spec.ts'
import { formatBytes } from './text-table.ts'

export interface LastFrames {
  readonly exit: ExitFrame | null
  readonly end: EndFrame | null
}

/** Each byte goes to the stream it came from, or with `json` each frame to a line of stdout. */
export async function printFrames(
  frames: AsyncIterable<Frame>,
  { stdout, stderr, say }: Context,
  json: boolean,
): Promise<LastFrames> {
  let exit: ExitFrame | null = null
  let end: EndFrame | null = null
  for await (const frame of frames) {
    if (frame.type === 'exit') exit = frame
    if (frame.type === 'end') end = frame
    if (json) {
      for (const bytes of encodeNdjson(frame)) await stdout.write(bytes)
    } else if (frame.type === 'output') {
      await (frame.stream === 'stderr' ? stderr : stdout).write(frame.bytes)
    } else if (frame.type === 'gap') {
      await say(
        `${formatBytes(frame.to - frame.from)} of output are no longer held, from byte ${frame.from} on`,
      )
    }
  }
  return { exit, end }
}
