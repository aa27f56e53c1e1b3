/** Prints a command's frames to stdout and stderr. */

import type { EndFrame, ExitFrame, Frame } from '../client/index.ts'
import { encodeNdjson } from '../protocol/ndjson.ts'
import type { Context } from './command-spec.ts'
import { formatBytes } from './text-table.ts'

export interface LastFrames {
  readonly exit: ExitFrame | null
  readonly end: EndFrame | null
}

/** Prints each byte to the stream that it came from, or with `json` each frame as a line on stdout. */
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
