import t from 'tap'
import { describe } from '../../../src/commands/command-info.ts'
import { exitFacts } from '../../../src/commands/exit-facts.ts'
import { createOutputLog } from '../../../src/commands/output-log.ts'
import { endLine } from '../../../src/daemon/command-log.ts'
import type { Cause } from '../../../src/protocol/frames.ts'
import type { StopReason } from '../../../src/protocol/schemas.ts'

function limitOf(cause: Cause, memoryBytes: number | null, stopReason: StopReason | null = null) {
  return limitOfExit({ cause, durationMs: 1 }, memoryBytes, stopReason)
}

function limitOfExit(
  facts: Parameters<typeof exitFacts>[0],
  memoryBytes: number | null,
  stopReason: StopReason | null = null,
) {
  const exit = { facts: exitFacts(facts), at: '', cursor: 0 }
  const life = {
    id: 'a',
    startedAt: '',
    cwd: '/',
    user: 'root',
    pid: 1,
    exit,
    end: null,
    closed: true,
  }
  const info = describe({
    life,
    log: createOutputLog(0, 0),
    proof: 'cgroup',
    usage: null,
    descendants: 0,
    commandLine: '',
    detach: false,
  })
  const details = { traceparent: null, timeoutMs: 5, memoryBytes }
  const line: { limit?: unknown } = endLine(info, details, {
    logCommands: false,
    stopReason,
    lifetimeMs: 9,
  })
  return line.limit
}

t.test('the line of an end names a limit only where that limit ended the command', async t => {
  t.same(limitOf('oom', 1024), { memoryBytes: 1024 })
  const oom = { cause: 'oom', durationMs: 1 } as const
  t.same(limitOfExit({ ...oom, oomScope: 'command' }, 1024), { memoryBytes: 1024 })
  t.same(limitOfExit({ ...oom, oomScope: 'machine' }, 1024), { memoryBytes: null })
  t.same(limitOf('oom', null), { memoryBytes: null }, 'it has no limit of its own')
  t.same(limitOf('timeout', 1024), { timeoutMs: 5 })
  t.same(limitOf('stopped', 1024, 'lifetime'), { lifetimeMs: 9 })
  for (const reason of ['request', 'signal', 'idle'] as const)
    t.equal(limitOf('stopped', 1024, reason), null)
  for (const cause of ['exit', 'signal', 'killed', 'disconnected', 'spawn'] as const)
    t.equal(limitOf(cause, 1024, 'lifetime'), null)
})
