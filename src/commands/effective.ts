/** The settings in force for one command: its request over the configured values. */

import type { CommandLimits, RunRequest } from '../protocol/schemas.ts'
import type { Trace } from '../protocol/trace-context.ts'

/** Facts of a command that its `info()` lacks, for the log line of its end. */
export interface EndDetails {
  readonly traceparent: string | null
  /** Its time limit in milliseconds; 0: none. */
  readonly timeoutMs: number
  /** Its own memory limit in bytes; `null`: none. */
  readonly memoryBytes: number | null
}

/** The time limit of a command in milliseconds; 0: none. @param configuredMs limit of a request without one */
export function timeoutOf({ timeoutMs, detach }: RunRequest, configuredMs: number): number {
  return timeoutMs ?? (detach === true ? 0 : configuredMs)
}

export function endDetails(
  request: RunRequest,
  trace: Trace | null,
  settings: {
    readonly timeoutMs: number
    readonly limits: Readonly<Record<keyof CommandLimits, number | null>>
  },
): EndDetails {
  return {
    traceparent: trace?.traceparent ?? null,
    timeoutMs: timeoutOf(request, settings.timeoutMs),
    memoryBytes: request.limits?.memoryBytes ?? settings.limits.memoryBytes,
  }
}

/** Variables by which a command's own spans join the trace of the request. */
export function traceEnv(trace: Trace | null): Readonly<Record<string, string>> {
  if (trace === null) return {}
  const { traceparent, tracestate } = trace
  return { TRACEPARENT: traceparent, ...(tracestate === null ? {} : { TRACESTATE: tracestate }) }
}
