/** Log lines about commands. */
import type { EndDetails } from '../commands/effective.ts'
import { type Machine, nofileWithin } from '../commands/plan.ts'
import type { Config } from '../config/types.ts'
import type { Log } from '../log.ts'
import type { CommandInfo, StopReason } from '../protocol/schemas.ts'

/** What the end line needs of the session around the command. */
export interface EndContext {
  readonly logCommands: boolean
  /** Why the session is being stopped; `null`: it is not. */
  readonly stopReason: StopReason | null
  readonly lifetimeMs: number
}

/**
 * The fields of the log line of a command's end. `limit` names the limit that ended it, with its value.
 * The text of the command is there only with `logCommands`.
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
  // The memory of the machine is no limit of the command.
  if (cause === 'oom') return { memoryBytes: oomScope === 'machine' ? null : memoryBytes }
  if (cause === 'stopped' && stopReason === 'lifetime') return { lifetimeMs }
  return null
}

/** A limit that every command was to have, and that this machine cannot keep. */
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
