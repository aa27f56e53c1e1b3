/** What the log tells of commands. */
import type { Machine } from '../commands/plan.ts'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import type { CommandInfo } from '../protocol/schemas.ts'

/** The facts of an end. The text of a command is told with `logCommands` alone. */
export function endLine(info: CommandInfo, config: Config): object {
  const { id, cause, exitCode, signal, stage, errno, durationMs, ...rest } = info
  const { stdoutBytes, stderrBytes, descendants, user } = rest
  const facts = { id, user, cause, exitCode, signal, stage, errno, durationMs }
  const text = config.logCommands ? { command: rest.commandLine } : {}
  return { ...facts, stdoutBytes, stderrBytes, descendants, ...text }
}

/** A limit that every command was to have, and that this machine cannot keep. */
export function warnOfLimits(
  { limits }: Config,
  { cgroups, nofileHard, self }: Machine,
  log: Log,
): void {
  const controllers = cgroups?.controllers ?? []
  const missing = [
    ...(limits.memoryBytes === null || controllers.includes('memory')
      ? []
      : ['limits.memoryBytes']),
    ...(limits.pids === null || controllers.includes('pids') ? [] : ['limits.pids']),
    ...(limits.cpus === null || controllers.includes('cpu') ? [] : ['limits.cpus']),
    ...((limits.nofile ?? 0) > nofileHard && self.uid !== 0 ? ['limits.nofile'] : []),
  ]
  if (missing.length > 0) log.warn({ missing }, 'limits that cannot be enforced here')
}
