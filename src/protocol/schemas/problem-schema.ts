/** The body of every reply that refuses a request, or that reports a failure of guestd. */

import type { Static } from 'typebox'
import * as Type from 'typebox'
import { type ErrorCode, errorTable } from '../../errors.ts'

const codes = Object.keys(errorTable) as ErrorCode[]

const codeTable = codes
  .map(code => `| ${code} | ${errorTable[code].status} | ${errorTable[code].retryable} |`)
  .join('\n')

export const Problem = Type.Object(
  {
    type: Type.String({ description: 'URN of the code: urn:guestd:error:CODE' }),
    title: Type.String({ description: 'What the code means; the same in every reply' }),
    status: Type.Integer({ minimum: 400, maximum: 599, description: 'HTTP status code' }),
    detail: Type.String({ description: 'What went wrong with this request' }),
    code: Type.Enum(codes, {
      description: `Stable name of the failure.\n\n| code | status | retryable |\n|---|---|---|\n${codeTable}`,
    }),
    retryable: Type.Boolean({
      description: 'The request had no effect, and the same request can succeed later',
    }),
    field: Type.Optional(
      Type.String({
        description: 'The field of the request at fault, such as "command" or "limits.pids"',
      }),
    ),
  },
  { description: 'A failure (application/problem+json, RFC 9457)' },
)
export type Problem = Static<typeof Problem>
