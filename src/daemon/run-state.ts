/** The state in `runDir`, from which a restarted guestd continues. */
import { join } from 'node:path'
import { type Journal, openJournal } from '../commands/journal.ts'
import type { Config } from '../config/types.ts'
import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import { openSessionAssignment, type SessionAssignment } from '../session/assign-session.ts'
import { type Boot, openBoot } from '../session/boot.ts'
import { type HostClock, openHostClock } from '../session/host-clock.ts'
import { openStopMemory, type StopMemory } from '../session/remembered-stop.ts'
import { type Binding, openBinding } from '../session/workspace-binding.ts'
import { bootId } from '../sys/boot-id.ts'
import { messageOf } from '../util/message-of.ts'
import type { Cleanup } from './cleanup.ts'
import { openRunDir, type RunDir } from './run-dir.ts'
import { createReport, type Report } from './state-watch.ts'

export interface RunState {
  readonly runDir: RunDir
  readonly binding: Binding
  readonly journal: Journal
  readonly boot: Boot
  readonly assignment: SessionAssignment
  readonly clock: HostClock
  readonly memory: StopMemory
  readonly report: Report
  /** Writes all files except the journal again, after the folder was lost. @throws if a file cannot be written */
  save(): void
}

const OTHER_SESSION =
  'runDir holds the state of a session with another workspace: its commands and its settings do not count'

/** @throws StartError if another guestd uses the folder, or if it cannot be used */
export async function openRunState(
  { runDir: path, workspace }: Pick<Config, 'runDir' | 'workspace'>,
  log: Log,
  emit: Emit,
  cleanup: Cleanup,
): Promise<RunState> {
  const runDir = openRunDir(path)
  cleanup.add(() => runDir.release())
  const report = createReport(log, emit)
  const binding = await openBinding(path, bootId(), workspace)
  if (binding.isForeign) report('other_session', OTHER_SESSION)
  const journal = openJournal({
    path: join(path, 'commands.ndjson'),
    bootId: bootId(),
    isForeign: binding.isForeign,
    failed: error => report('journal_full', `a line could not be written: ${messageOf(error)}`),
  })
  cleanup.add(() => journal.close())
  for (const { code, reason } of journal.problems) report(code, reason)
  const boot = openBoot(path, err =>
    log.warn(
      { component: 'lifecycle', err },
      'after a restart of guestd the lifetime would begin again',
    ),
  )
  const assignment = openSessionAssignment(path, boot.id)
  const clock = openHostClock(path, boot.id)
  const memory = openStopMemory(path, boot.id)
  const save = () => {
    for (const one of [boot, binding, assignment, clock, memory]) one.save()
  }
  return { runDir, binding, journal, boot, assignment, clock, memory, report, save }
}
