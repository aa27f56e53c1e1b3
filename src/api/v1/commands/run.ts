/** POST /v1/commands */

import { negotiate } from '../../../protocol/negotiate.ts'
import { checkRunRequest, RunAccepted, RunQuery, RunRequest } from '../../../protocol/schemas.ts'
import { parseTrace } from '../../../protocol/trace-context.ts'
import { checkOutputLimit, type ReplyOptions, replyWithFrames } from '../../reply-frames.ts'
import type { ApiCore, App } from '../../types.ts'
import { framesReply, problems } from '../reply-schemas.ts'

export function serveRun(app: App, options: ApiCore & ReplyOptions): void {
  const { commands } = options
  app.route({
    method: 'POST',
    url: '/v1/commands',
    schema: {
      summary: 'Run a command',
      description:
        'Replies with the frames of the command until its end, or with `detach` as soon as it runs. A request with an `id` can be repeated: it attaches to the command that the first request started.',
      querystring: RunQuery,
      body: RunRequest,
      response: { 200: framesReply, 202: RunAccepted, ...problems },
    },
    handler: async (request, reply) => {
      // Check everything before the command is started.
      const mediaType = negotiate(request.headers.accept)
      const { outputLimitBytes } = request.query
      checkOutputLimit(outputLimitBytes, request.body.detach === true ? null : mediaType)
      checkRunRequest(request.body)
      const { command } = await commands.run(request.body, parseTrace(request.headers))
      if (command.request.detach) {
        return reply
          .code(202)
          .headers({
            Location: `/v1/commands/${command.id}`,
            'Guestd-Command-Id': command.id,
            'Cache-Control': 'no-store',
          })
          .send({ id: command.id })
      }
      const reader = command.attach({ cursor: 0, follow: true, hold: true })
      return replyWithFrames({ reply, command, reader, mediaType, outputLimitBytes }, options)
    },
  })
}
