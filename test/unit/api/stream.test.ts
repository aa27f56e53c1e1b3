import { once } from 'node:events'
import { createServer, get, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { streamFrames } from '../../../src/api/stream-frames.ts'
import type { FrameReader } from '../../../src/commands/types.ts'
import type { Frame } from '../../../src/protocol/frames.ts'
import { makeScratch } from '../../helpers/scratch.ts'

const START: Frame = {
  type: 'start',
  id: 'a',
  pid: 1,
  startedAt: '2026-01-01T00:00:00.000Z',
  cwd: '/',
  user: 'root',
  cursor: 0,
}

function readerOf(frames: Frame[]): FrameReader {
  return {
    onReadable: null,
    done: false,
    cursor: 0,
    read: () => frames.shift() ?? null,
    release() {},
    close() {},
  }
}

/** How often the head was flushed, and what arrived of it. */
async function streamed(
  t: { teardown(undo: () => unknown): void; fail(text: string): unknown },
  frames: Frame[],
) {
  let flushes = 0
  const handle = (response: ServerResponse) => {
    const { flushHeaders } = response
    response.flushHeaders = () => {
      flushes += 1
      flushHeaders.call(response)
    }
    streamFrames({
      response,
      reader: readerOf(frames),
      mediaType: 'application/x-ndjson',
      headers: {},
      keepaliveMs: 60_000,
      onError: error => t.fail(String(error)),
    })
  }
  const server = createServer((_request, response) => handle(response))
  const socketPath = join(makeScratch(t), 'socket')
  server.listen(socketPath)
  await once(server, 'listening')
  const request = get({ socketPath })
  const [reply] = await once(request, 'response')
  reply.on('error', () => {})
  request.destroy()
  server.close()
  await once(server, 'close')
  return { flushes, type: reply.headers['content-type'] }
}

t.test('the head goes out with the first frame, without a write of its own', async t => {
  const { flushes, type } = await streamed(t, [START])
  t.equal(type, 'application/x-ndjson')
  t.equal(flushes, 0)
})

t.test('without a frame so far the head goes out at once', async t => {
  const { flushes, type } = await streamed(t, [])
  t.equal(type, 'application/x-ndjson')
  t.equal(flushes, 1)
})
