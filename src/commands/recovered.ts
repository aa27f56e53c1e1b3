/** Commands of the daemon before this one: what the journal tells of them, without their output. */

import { GuestdError } from '../errors.ts'
import { isPopulated, killCgroup, removeCgroup } from '../sys/cgroup.ts'
import { processStat } from '../sys/process-group.ts'
import { inGroup } from './containment.ts'
import { exitFacts } from './exit-facts.ts'
import { describe } from './info.ts'
import type { EndRecord, Entry } from './journal.ts'
import type { Life } from './life.ts'
import { createOutputLog } from './output-log.ts'
import { createReader } from './reader.ts'
import { createStdin } from './stdin.ts'
import { killUntilEmpty } from './terminate.ts'
import type { Command } from './types.ts'

/** Kills whatever of it still lives, and resolves once nobody is left. */
export function killRemains(entry: Entry): Promise<void> {
  const { cgroupPath } = entry.start
  if (cgroupPath === null) {
    const containment = inGroup()
    const leader = liveLeader(entry)
    if (leader !== null) containment.adopt(leader)
    return killUntilEmpty(containment)
  }
  return killUntilEmpty({
    kill: () => void killCgroup(cgroupPath),
    isEmpty: () => !isPopulated(cgroupPath) && removeCgroup(cgroupPath),
  })
}

/** Only where the pid still names the same process is the group that of the command. */
function liveLeader(entry: Entry): number | null {
  if (entry.process === null || entry.process.startTime === null) return null
  const stat = processStat(entry.process.pid)
  return stat?.startTime === entry.process.startTime ? entry.process.pid : null
}

/** The end of a command that ran when its daemon died: nobody saw how it went. */
export function lostEnd(endedAt: string): EndRecord {
  const exit = exitFacts({ cause: 'lost', durationMs: 0 })
  return { endedAt, exit, end: { stdoutBytes: 0, stderrBytes: 0, descendants: 0 } }
}

/** An ended command whose output is a gap. How much a lost one had written is not known. */
export function createRecovered(entry: Entry, ended: EndRecord): Command & { endedAt: string } {
  const { start, process } = entry
  const written = ended.end.stdoutBytes + ended.end.stderrBytes
  const lost = ended.exit.cause === 'lost'
  const life: Life = {
    id: start.id,
    startedAt: start.startedAt,
    cwd: start.cwd,
    user: start.user,
    pid: process?.pid ?? null,
    exit: { facts: ended.exit, cursor: written },
    end: { facts: ended.end, cursor: written },
    closed: true,
  }
  const gone = () => new GuestdError('command_ended', `the command ${start.id} has ended`)
  const proof = start.cgroupPath === null ? 'group' : 'cgroup'
  return {
    id: start.id,
    state: 'ended',
    isComplete: true,
    endedAt: ended.endedAt,
    request: { detach: start.detach, onDisconnect: start.onDisconnect },
    stdin: createStdin(null),
    attach(options) {
      const log = createOutputLog(0, lost ? options.cursor : written)
      const nothing = () => undefined
      return createReader(log, life, options, {
        advanced: nothing,
        finished: nothing,
        cut: nothing,
        closed: nothing,
      })
    },
    signal() {
      throw gone()
    },
    kill: () => Promise.resolve({ id: start.id, empty: true, proof }),
    info: () => ({
      ...describe({
        life,
        log: createOutputLog(0, written),
        descendants: 0,
        commandLine: start.commandLine,
        detach: start.detach,
        endedAt: ended.endedAt,
        proof,
        usage: null,
      }),
      stdoutBytes: ended.end.stdoutBytes,
      stderrBytes: ended.end.stderrBytes,
    }),
  }
}
