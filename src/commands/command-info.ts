/** What `inspect` reports of a command. */
import {
  COMMAND_LINE_CHARACTERS,
  type CommandInfo,
  type CommandUsage,
  type RunRequest,
} from '../protocol/schemas.ts'
import { firstOf } from '../util/cut-text.ts'
import { noExit } from './exit-facts.ts'
import type { Life } from './life.ts'
import type { OutputLog } from './output-log.ts'

export interface Described {
  readonly life: Life
  readonly log: OutputLog
  readonly proof: 'cgroup' | 'group'
  readonly usage: CommandUsage | null
  readonly descendants: number
  readonly commandLine: string
  readonly detach: boolean
}

export function describe(facts: Described): CommandInfo {
  const { life, log } = facts
  return {
    id: life.id,
    state: life.exit === null ? 'running' : 'ended',
    pid: life.pid,
    startedAt: life.startedAt,
    endedAt: life.exit?.at ?? null,
    cwd: life.cwd,
    user: life.user,
    commandLine: facts.commandLine,
    detach: facts.detach,
    ...(life.exit?.facts ?? noExit),
    stdoutBytes: log.totals.stdout,
    stderrBytes: log.totals.stderr,
    truncated: log.begin,
    descendants: facts.descendants,
    lateBytes: life.end === null ? 0 : log.end - life.end.cursor,
    outputOpen: !life.closed,
    cursor: log.end,
    firstCursor: log.begin,
    proof: facts.proof,
    usage: facts.usage,
  }
}

/** The first characters of the script or argv: enough to recognise the command. */
export function commandLine(request: RunRequest): string {
  return firstOf(request.command ?? request.argv?.join(' ') ?? '', COMMAND_LINE_CHARACTERS)
}
