/** The `application/json` form of a stream of frames. */

import type { ServerResponse } from 'node:http'
import type { FrameReader } from '../commands/types.ts'
import type { CommandSummary } from '../protocol/schemas.ts'
import { createSummary } from '../protocol/summary.ts'

/** Bytes of output taken in at a time. */
const READ_BYTES = 256 * 1024

/**
 * Waits until the reader is done.
 *
 * @param limitBytes bytes kept of each stream; undefined: 1 MiB
 * @returns `null` when the client went away first; the reader is closed either way
 */
export function summarize(
  response: ServerResponse,
  reader: FrameReader,
  limitBytes: number | undefined,
): Promise<CommandSummary | null> {
  const { promise, resolve, reject } = Promise.withResolvers<CommandSummary | null>()
  const summary = createSummary(limitBytes)
  const pull = () => {
    try {
      for (let frame = reader.read(READ_BYTES); frame !== null; frame = reader.read(READ_BYTES)) {
        summary.add(frame)
      }
      if (reader.done) resolve(summary.finish())
    } catch (error) {
      reject(error)
    }
  }
  const cut = () => resolve(null)
  response.on('close', cut)
  reader.onReadable = pull
  if (response.destroyed) cut()
  else pull()
  return promise.finally(() => {
    response.off('close', cut)
    reader.close()
  })
}
