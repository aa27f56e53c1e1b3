/** Whether two requests are the same request. */
import { hash } from 'node:crypto'
import type { RunRequest } from '../protocol/schemas.ts'

/** SHA-256 of the request's JSON with sorted members: white space and order make no difference. */
export function requestDigest(request: RunRequest): string {
  return hash('sha256', JSON.stringify(inOrder(request)))
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, inOrder(member)]),
  )
}
