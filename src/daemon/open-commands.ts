/** Opens the registry of commands, and the parts that follow the starts and ends of commands. */
import { createRegistry, type Registry } from '../commands/registry.ts'
import { strayWords } from '../commands/strays.ts'
import type { Activity } from '../session/activity.ts'
import type { TemporaryFiles } from '../session/clear-temporary.ts'
import type { SessionSettings } from '../session/session-settings.ts'
import type { Stop } from '../session/stop.ts'
import { keepYoungGenerationSmall, releaseMemory } from '../sys/memory.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { createCommandHooks } from './command-hooks.ts'
import { warnOfLimits } from './command-log.ts'
import { createIdleTrim } from './idle-trim.ts'
import { createIpcCleaner } from './ipc-cleaner.ts'
import type { SessionParts } from './types.ts'

export interface AroundCommands {
  readonly workspace: Workspace
  readonly activity: Activity
  readonly settings: SessionSettings
  readonly stop: Stop
  readonly temporary: TemporaryFiles
}

/** Resolves once no process is left of the commands of the previous guestd. */
export async function openCommands(
  { config, output, machine, runState, events, cleanup, ...parts }: SessionParts,
  around: AroundCommands,
): Promise<Registry> {
  const { workspace, activity, settings, stop } = around
  const log = parts.log.child({ component: 'commands' })
  warnOfLimits(config, machine, log)
  const idleTrim = createIdleTrim({
    release: releaseMemory,
    resume: keepYoungGenerationSmall,
    isBusy: activity.hasProcesses,
  })
  cleanup.add(idleTrim.stop)
  // The start counts as work.
  idleTrim.touch()
  const ipc = createIpcCleaner(activity.hasProcesses, log)
  cleanup.add(ipc.stop)
  const registry = createRegistry(
    {
      ...config,
      output,
      workspace: workspace.path,
      defaults: settings.commandDefaults,
    },
    machine,
    runState.journal,
    createCommandHooks({ config, ...around, idleTrim, ipc, log, emit: events.emit }),
  )
  activity.add({
    isBusy: () => registry.isBusy(config.busyDescendants),
    hasProcesses: () => registry.isBusy(true),
  })
  stop.addStep('commands', registry.stop)
  const strays = await registry.recover()
  if (strays.processes > 0) runState.report('processes_killed', strayWords(strays))
  return registry
}
