/** guestctl inspect */

import type { CommandInfo } from '../../client/index.ts'
import type { CliCommand } from '../command-spec.ts'
import { exitCodes } from '../exit-code.ts'
import { describeState } from '../one-line.ts'
import { oneId } from '../operands.ts'
import { formatBytes, formatDuration, renderFacts } from '../text-table.ts'

export const inspect: CliCommand = {
  name: 'inspect',
  summary: 'Show everything about a command',
  operands: 'ID',
  options: [{ name: 'json', help: 'Print it as JSON' }],
  details: '',
  run: async (args, { client, stdout }) => {
    const info = await client().inspect(oneId(args))
    await stdout.write(
      args.has('json') ? `${JSON.stringify(info, null, 2)}\n` : renderFacts(factsOf(info)),
    )
    return exitCodes.ok
  },
}

function factsOf(info: CommandInfo): (readonly [string, string])[] {
  const facts: (readonly [string, string | null])[] = [
    ['Id', info.id],
    ['State', describeState(info)],
    ['Command', info.commandLine],
    ['Cwd', info.cwd],
    ['User', info.user],
    ['Pid', orNull(info.pid, String)],
    ['Started', info.startedAt],
    ['Ended', info.endedAt],
    ['Duration', orNull(info.durationMs, formatDuration)],
    ['Processor time', orNull(info.cpuMs ?? info.usage?.cpuMs ?? null, formatDuration)],
    ['Memory', orNull(info.usage?.memoryBytes ?? null, formatBytes)],
    ['Most memory', orNull(info.maxRssBytes, formatBytes)],
    ['Processes', orNull(info.usage?.pids ?? null, String)],
    ['Standard output', formatBytes(info.stdoutBytes)],
    ['Standard error', formatBytes(info.stderrBytes)],
    ['Held output', `bytes ${info.firstCursor} to ${info.cursor}`],
    ['No longer held', info.truncated === 0 ? null : formatBytes(info.truncated)],
    ['After the end', info.lateBytes === 0 ? null : formatBytes(info.lateBytes)],
    ['Output may follow', info.outputOpen && info.state === 'ended' ? 'yes' : null],
    ['Living descendants', info.descendants === 0 ? null : String(info.descendants)],
    ['Workspace full', info.workspaceFull],
    ['Contained by', info.proof === 'cgroup' ? 'a cgroup of its own' : 'its process group only'],
  ]
  return facts.flatMap(([name, value]) => (value === null ? [] : [[name, value] as const]))
}

function orNull(value: number | null, format: (value: number) => string): string | null {
  return value === null ? null : format(value)
}
