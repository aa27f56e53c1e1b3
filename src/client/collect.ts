/** Reads a command's frames to the end and keeps the last bytes of each stream. */

import { GuestdError } from '../errors.ts'
import type { Frame } from '../protocol/frames.ts'
import { createTailBuffer } from '../protocol/tail-buffer.ts'
import type { CollectedResult, CommandResult } from './types.ts'

/** Default of `maxBytes`: as much as guestd's JSON reply keeps. */
const DEFAULT_KEPT_BYTES = 1024 * 1024

/**
 * @param maxBytes how much of each stream is kept, in bytes. Default: 1 MiB
 * @throws GuestdError `invalid_request` if `maxBytes` is not a whole number from 0
 */
export async function collectFrames(
  frames: AsyncIterable<Frame>,
  result: Promise<CommandResult>,
  maxBytes = DEFAULT_KEPT_BYTES,
): Promise<CollectedResult> {
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 0) {
    const detail = `maxBytes is not a whole number from 0: ${maxBytes}`
    throw new GuestdError('invalid_request', detail, { field: 'maxBytes' })
  }
  const stdout = createTailBuffer(maxBytes)
  const stderr = createTailBuffer(maxBytes)
  for await (const frame of frames) {
    if (frame.type !== 'output') continue
    const tail = frame.stream === 'stderr' ? stderr : stdout
    tail.push(frame.bytes)
  }
  return {
    ...(await result),
    stdout: stdout.bytes(),
    stderr: stderr.bytes(),
    stdoutCut: stdout.droppedBytes,
    stderrCut: stderr.droppedBytes,
  }
}
