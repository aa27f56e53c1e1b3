/** POST /v1/session/clear-temporary */

import { ClearedTemporary } from '../../../protocol/schemas.ts'
import type { ApiCore, App } from '../../types.ts'
import { NoQuery, problems } from '../reply-schemas.ts'

export function serveClearTemporary(app: App, { control }: Pick<ApiCore, 'control'>): void {
  app.route({
    method: 'POST',
    url: '/v1/session/clear-temporary',
    schema: {
      summary: 'Remove the temporary files of commands',
      description:
        'Removes what users of commands have left in /tmp, /var/tmp and /dev/shm. Refused with `busy` while anything of a command is left. Files of root stay, as do those of a user that any other process runs as, and what changes meanwhile.',
      querystring: NoQuery,
      response: { 200: ClearedTemporary, ...problems },
    },
    handler: async (_request, reply) => {
      reply.header('Cache-Control', 'no-store')
      return await control.clearTemporary()
    },
  })
}
