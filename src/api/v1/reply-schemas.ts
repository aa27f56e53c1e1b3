/** Schemas that several routes share. */

import * as Type from 'typebox'
import { CommandSummary, Problem } from '../../protocol/schemas.ts'

/** For routes without a query: any parameter is refused. */
export const NoQuery = Type.Object({}, { additionalProperties: false })

/** A reply without a body. */
export const Nothing = Type.Null({ description: 'Done' })

const problem = {
  description: 'A failure; its `code` is stable',
  content: { 'application/problem+json': { schema: Problem } },
}

/** The replies of a route that fails. */
export const problems = { '4xx': problem, '5xx': problem } as const

/** The replies that carry frames, by media type; the Accept header chooses. */
export const framesReply = {
  description: 'The frames of the command',
  content: {
    // Only the OpenAPI document has the schema, so the start does not load it.
    'application/x-ndjson': { schema: { $ref: '#/components/schemas/Frame' } },
    'application/vnd.amazon.eventstream': {
      schema: Type.String({
        format: 'binary',
        description:
          'Messages: `:event-type` is the type of the frame; `output` has its bytes as the payload, other frames their JSON',
      }),
    },
    'text/event-stream': {
      schema: Type.String({
        description: '`event` is the type of the frame, `id` its cursor, `data` the frame in JSON',
      }),
    },
    'application/json': { schema: CommandSummary },
  },
} as const
