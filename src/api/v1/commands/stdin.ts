/** POST /v1/commands/:id/stdin */

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { CommandStdin } from '../../../commands/types.ts'
import type { Turn } from '../../../commands/writer-queue.ts'
import { CommandParams, StdinQuery, StdinReply } from '../../../protocol/schemas.ts'
import { isPeerGone } from '../../../sys/vsock.ts'
import type { ApiCore, App } from '../../types.ts'
import { problems } from '../reply-schemas.ts'

const NO_BYTES = new Uint8Array(0)

/** Uses a scope of its own, in which no parser reads the body: the handler gets the stream. */
export function serveStdin(app: App, { commands }: ApiCore): void {
  void app.register(async scope => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', async () => undefined)
    scope.withTypeProvider<TypeBoxTypeProvider>().route({
      method: 'POST',
      url: '/v1/commands/:id/stdin',
      schema: {
        summary: 'Write to the standard input of a command',
        description:
          'The body is raw bytes of any length, taken as fast as the command reads them. Writers take turns; a writer that sends nothing for stdinSilenceMs loses its turn to a writer that names the next offset.',
        consumes: { 'application/octet-stream': 'The bytes to write; any media type is accepted' },
        params: CommandParams,
        querystring: StdinQuery,
        response: { 200: StdinReply, ...problems },
      },
      handler: async (request, reply) => {
        const { stdin } = commands.get(request.params.id)
        const { offset, eof = false } = request.query
        const signal = untilCut(reply.raw)
        await stdin.exclusive({ offset: offset ?? null, signal }, async turn => {
          // The client may have closed the connection while it waited, with more bytes in the socket than Node reads ahead.
          if (isPeerGone(request.raw.socket)) await cutOff(request.raw.socket, signal)
          await copyBody(request.raw, stdin, turn, offset ?? stdin.acceptedBytes)
          signal.throwIfAborted()
          if (eof) stdin.end()
        })
        reply.header('Cache-Control', 'no-store')
        return { acceptedBytes: stdin.acceptedBytes }
      },
    })
  })
}

/** Closes the connection of a client that has closed its end. @throws the reason of the signal, which that aborts */
async function cutOff(socket: Socket, signal: AbortSignal): Promise<void> {
  socket.destroy()
  if (!signal.aborted) await once(signal, 'abort')
  signal.throwIfAborted()
}

/** Aborted when the client disconnects before it has its reply. */
function untilCut(response: ServerResponse): AbortSignal {
  const cut = new AbortController()
  const abort = () => {
    if (!response.writableFinished) cut.abort(new Error('the client disconnected'))
  }
  if (response.destroyed) abort()
  response.once('close', abort)
  return cut.signal
}

/**
 * @throws GuestdError `stdin_closed`, `stdin_taken`, `offset_out_of_range`; Error when the client disconnects
 */
async function copyBody(
  body: IncomingMessage,
  stdin: CommandStdin,
  turn: Turn,
  start: number,
): Promise<void> {
  let offset = start
  // Makes an empty body fail wherever one with bytes would.
  await stdin.write(offset, NO_BYTES)
  // A failure must not close the connection: the reply still has to be sent.
  const pieces: AsyncIterator<Uint8Array> = body.iterator({ destroyOnReturn: false })
  for (let isLast = false; !isLast; ) {
    const { done, value } = await turn.next(pieces.next())
    isLast = done === true
    if (isLast || value === undefined) continue
    await stdin.write(offset, value)
    offset += value.length
  }
}
