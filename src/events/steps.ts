/** The steps of a stop, and the reports of their progress. */
import type { StopStep } from '../protocol/schemas.ts'
import { messageOf } from '../util/message-of.ts'

export type Step = Omit<StopStep, 'type'>
export type Report = (step: Step) => void

export interface StepFailure {
  readonly name: Step['name']
  readonly reason: string
}

/** How often a running step is reported, in milliseconds. */
const REPORT_MS = 1_000

/**
 * Runs one step and reports its start, its progress each second, and its end. A failure is reported and added to
 * `failures`.
 *
 * @returns `null` when the step failed
 */
export async function doStep<T>(
  name: Step['name'],
  report: Report,
  failures: StepFailure[],
  work: () => Promise<T>,
): Promise<T | null> {
  const began = performance.now()
  const ms = () => Math.round(performance.now() - began)
  report({ name, state: 'started', ms: 0 })
  const timer = setInterval(() => report({ name, state: 'running', ms: ms() }), REPORT_MS)
  try {
    const result = await work()
    report({ name, state: 'done', ms: ms() })
    return result
  } catch (error) {
    const reason = messageOf(error)
    failures.push({ name, reason })
    report({ name, state: 'failed', ms: ms(), reason })
    return null
  } finally {
    clearInterval(timer)
  }
}

/** As the errors of a receipt have it: "unmount: umount: EBUSY". */
export function stepFailureText({ name, reason }: StepFailure): string {
  return `${name}: ${reason}`
}
