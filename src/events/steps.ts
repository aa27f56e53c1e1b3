/** The steps of a stop, told as they go. */
import type { StopStep } from '../protocol/schemas.ts'
import { messageOf } from '../util/message-of.ts'

export type Step = Omit<StopStep, 'type'>
export type Report = (step: Step) => void

/** How often a step that takes long is told. */
const TELL_MS = 1_000

/**
 * Does one step; what it throws is told, and noted with the step's name.
 *
 * @returns `null` when it failed
 */
export async function doStep<T>(
  name: Step['name'],
  report: Report,
  errors: string[],
  work: () => Promise<T>,
): Promise<T | null> {
  const began = performance.now()
  const ms = () => Math.round(performance.now() - began)
  report({ name, state: 'started', ms: 0 })
  const timer = setInterval(() => report({ name, state: 'running', ms: ms() }), TELL_MS)
  try {
    const result = await work()
    report({ name, state: 'done', ms: ms() })
    return result
  } catch (error) {
    const reason = messageOf(error)
    errors.push(`${name}: ${reason}`)
    report({ name, state: 'failed', ms: ms(), reason })
    return null
  } finally {
    clearInterval(timer)
  }
}
