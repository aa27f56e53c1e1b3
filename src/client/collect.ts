/** Reads a command's frames to the end and keeps the last bytes of each stream. */

import { GuestdError } from '../errors.ts'
import type { Frame } from '../protocol/frames.ts'
import type { CollectedResult, CommandResult } from './types.ts'

/** Bytes kept of each stream unless asked otherwise; as much as guestd's own JSON reply keeps. */
const DEFAULT_KEPT_BYTES = 1024 * 1024

/**
 * @param maxBytes bytes kept of each stream; default 1 MiB
 * @throws GuestdError `invalid_request` where `maxBytes` is no whole number from 0
 */
export async function collectFrames(
  frames: AsyncIterable<Frame>,
  result: Promise<CommandResult>,
  maxBytes = DEFAULT_KEPT_BYTES,
): Promise<CollectedResult> {
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 0) {
    const detail = `maxBytes is no whole number from 0: ${maxBytes}`
    throw new GuestdError('invalid_request', detail, { field: 'maxBytes' })
  }
  const stdout = createTail(maxBytes)
  const stderr = createTail(maxBytes)
  for await (const frame of frames) {
    if (frame.type !== 'output') continue
    const tail = frame.stream === 'stderr' ? stderr : stdout
    tail.add(frame.bytes)
  }
  return {
    ...(await result),
    stdout: stdout.bytes(),
    stderr: stderr.bytes(),
    stdoutCut: stdout.cutBytes(),
    stderrCut: stderr.cutBytes(),
  }
}

function createTail(maxBytes: number) {
  const chunks: Uint8Array[] = []
  let held = 0
  let total = 0
  return {
    add(chunk: Uint8Array): void {
      chunks.push(chunk)
      held += chunk.length
      total += chunk.length
      // Whole chunks go while the rest is enough, so at most one chunk more than the limit is held.
      for (let first = chunks[0]; first && held - first.length >= maxBytes; first = chunks[0]) {
        held -= first.length
        chunks.shift()
      }
    },
    bytes: () => Buffer.concat(chunks).subarray(Math.max(0, held - maxBytes)),
    cutBytes: () => Math.max(0, total - maxBytes),
  }
}
