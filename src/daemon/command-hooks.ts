/** What happens in the session when a command is requested, starts and ends. */
import type { RegistryHooks } from '../commands/registry-types.ts'
import type { Config } from '../config/types.ts'
import { GuestdError } from '../errors.ts'
import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import type { Activity } from '../session/activity.ts'
import type { TemporaryFiles } from '../session/clear-temporary.ts'
import type { SessionSettings } from '../session/session-settings.ts'
import type { Stop } from '../session/stop.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { endLine } from './command-log.ts'
import type { IdleTrim } from './idle-trim.ts'
import type { IpcCleaner } from './ipc-cleaner.ts'

export interface CommandHooksOptions {
  readonly config: Pick<Config, 'busyDescendants' | 'logCommands'>
  readonly workspace: Workspace
  readonly activity: Pick<Activity, 'touch'>
  readonly settings: Pick<SessionSettings, 'sessionLimits' | 'waitsFor'>
  readonly stop: Pick<Stop, 'reason'>
  readonly idleTrim: IdleTrim
  readonly ipc: Pick<IpcCleaner, 'started' | 'settled'>
  readonly temporary: Pick<TemporaryFiles, 'admit' | 'started'>
  /** Its component is `commands`. */
  readonly log: Log
  readonly emit: Emit
}

export function createCommandHooks(options: CommandHooksOptions): RegistryHooks {
  const { config, workspace, activity, settings, stop, idleTrim, ipc, temporary, log, emit } =
    options
  return {
    admit(cwd) {
      const missing = settings.waitsFor()
      if (missing !== null) throw new GuestdError('starting', missing)
      temporary.admit()
      workspace.admit(cwd)
    },
    room: workspace.room,
    workspaceFull: workspace.fullSince,
    started(id, user) {
      idleTrim.touch()
      ipc.started(user)
      temporary.started(user)
      emit({ type: 'command_started', id, user })
    },
    ended(command, details) {
      activity.touch()
      const info = command.info()
      const { id, cause, exitCode, signal } = info
      if (cause !== null) emit({ type: 'command_ended', id, cause, exitCode, signal })
      const { lifetimeMs } = settings.sessionLimits()
      const context = { logCommands: config.logCommands, stopReason: stop.reason, lifetimeMs }
      log.info(endLine(info, details, context), 'command ended')
      idleTrim.touch()
    },
    settled() {
      ipc.settled()
      if (config.busyDescendants) activity.touch()
    },
  }
}
