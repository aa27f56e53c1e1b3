/** Log lines about commands. */
import type { EndDetails } from '../commands/effective.ts'
import { type Machine, nofileWithin } from '../commands/plan.ts'
import type { Config } from '../config/types.ts'
import type { Log } from '../log.ts'
import type { CommandInfo, StopReason } from '../protocol/schemas.ts'

/** Facts of the session that the line of an end needs. */
export interface EndContext {
  readonly logCommands: boolean
  /** Why the session stops; `null`: it does not. */
  readonly stopReason: StopReason | null
  readonly lifetimeMs: number
}

/**
 * The fields of the log line of a command's end. `limit` names the limit that ended it, with its value.
 * Only with `logCommands` it has the text of the command.
 */
export function endLine(info: CommandInfo, details: EndDetails, context: EndContext): object {
  const { id, pid, user, cause, exitCode, signal, stage, errno, durationMs, cpuMs } = info
  const { stdoutBytes, stderrBytes, descendants, commandLine } = info
  const { traceparent } = details
  return {
    command: id,
    pid,
    user,
    cause,
    limit: limitOf(info, details, context),
    exitCode,
    signal,
    stage,
    errno,
    durationMs,
    cpuMs,
    stdoutBytes,
    stderrBytes,
    descendants,
    ...(traceparent === null ? {} : { traceparent }),
    ...(context.logCommands ? { commandLine } : {}),
  }
}

function limitOf(
  { cause, oomScope }: CommandInfo,
  { timeoutMs, memoryBytes }: EndDetails,
  { stopReason, lifetimeMs }: EndContext,
): object | null {
  if (cause === 'timeout') return { timeoutMs }
  // The memory of the machine is not a limit of the command.
  if (cause === 'oom') return { memoryBytes: oomScope === 'machine' ? null : memoryBytes }
  if (cause === 'stopped' && stopReason === 'lifetime') return { lifetimeMs }
  return null
}

/** Warns of configured limits that this machine cannot enforce. */
export function warnOfLimits({ limits }: Config, machine: Machine, log: Log): void {
  const controllers = machine.cgroups?.controllers ?? []
  const nofile = limits.nofile ?? 0
  const missing = [
    ...(limits.memoryBytes === null || controllers.includes('memory')
      ? []
      : ['limits.memoryBytes']),
    ...(limits.pids === null || controllers.includes('pids') ? [] : ['limits.pids']),
    ...(limits.cpus === null || controllers.includes('cpu') ? [] : ['limits.cpus']),
    ...(nofile > nofileWithin(nofile, machine) ? ['limits.nofile'] : []),
  ]
  if (missing.length > 0) log.warn({ missing }, 'limits that cannot be enforced here')
}
