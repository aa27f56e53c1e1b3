/** All commands: starts them, finds them again, and ends them with guestd. */
import { GuestdError } from '../errors.ts'
import type { RunRequest } from '../protocol/schemas.ts'
import { reapOrphans } from '../sys/orphans.ts'
import { atMost } from '../util/at-most.ts'
import { type CommandTable, createCommandTable } from './command-table.ts'
import { requestDigest } from './digest.ts'
import { createRetention } from './ended-retention.ts'
import type { Journal } from './journal.ts'
import { createOutputMemory } from './output-memory.ts'
import type { Machine } from './plan.ts'
import { recoverCommands } from './recovered.ts'
import type { RegistryHooks, RegistrySettings } from './registry-types.ts'
import { commandIn, type Slot } from './slot.ts'
import { startCommand } from './start-command.ts'
import type { Strays } from './strays.ts'
import type { Command, Commands } from './types.ts'

export interface Registry extends Commands {
  /**
   * Kills what the daemon before this one left running, and lists all commands that it knew.
   *
   * @returns the processes that were killed though the journal does not name their command
   */
  recover(): Promise<Strays>
  /**
   * Refuses new commands and ends the running ones with cause `stopped`: SIGTERM, the grace, then
   * SIGKILL. Resolves when each has given its last bytes, or when `stopLimitMs` has passed.
   */
  stop(): Promise<void>
  /** Cuts the graces of a stop short. */
  skipGrace(): void
  /** Whether a command has not ended; with `descendants`, whether a process or a pipe of one is left. */
  isBusy(descendants: boolean): boolean
}

/** Interval of the checks whether the commands have ended, during a stop. */
const STOP_LOOK_MS = 5
/** The part of `stopLimitMs` that is kept for the kills, after the graces. */
const KILL_RESERVE_MS = 2_000

export function createRegistry(
  settings: RegistrySettings,
  machine: Machine,
  journal: Journal,
  hooks: RegistryHooks,
): Registry {
  const { keepMs, keepCommands } = settings.output
  const { maxCommands } = settings
  const { budget, ...memory } = createOutputMemory({ ...settings.output, maxCommands })
  const commandSettings = { ...settings, ...memory }
  const table = createCommandTable({
    retention: createRetention(keepMs, keepCommands),
    pool: memory.pool,
    forgotten: journal.forgotten,
  })
  const context = { settings, machine, journal, hooks, table, budget, commandSettings }
  reapOrphans()
  let isStopping = false

  const skipGrace = () => {
    for (const command of table.live.values()) command.skipGrace()
  }

  return {
    async run(request, trace = null) {
      const known = () => (request.id === undefined ? undefined : table.find(request.id))
      if (known() === undefined && request.allowOverCap !== true) await hooks.room()
      // The same request may have come meanwhile.
      const slot = known()
      if (slot !== undefined) return { command: await join(slot, request), created: false }
      if (isStopping) throw new GuestdError('stopping', 'guestd is stopping and takes no commands')
      return { command: await startCommand(context, request, trace), created: true }
    },
    get(id) {
      const slot = table.find(id)
      if (slot !== undefined) return commandIn(slot)
      throw new GuestdError('command_not_found', `there is no command ${id}`, { field: 'id' })
    },
    list: () => table.list().map(commandIn),
    get counts() {
      const running = [...table.live.values()].filter(({ state }) => state === 'running').length
      return { running, ended: table.size - running }
    },
    recover: () => recoverCommands(journal, machine.cgroups, table),
    async stop() {
      isStopping = true
      for (const command of table.live.values()) command.stop('stopped')
      const { stopLimitMs } = settings
      const gracesMs = stopLimitMs - Math.min(KILL_RESERVE_MS, stopLimitMs / 2)
      const timer = setTimeout(skipGrace, gracesMs)
      await atMost(stopLimitMs, allSettled(table))
      clearTimeout(timer)
    },
    skipGrace,
    isBusy: descendants => (descendants ? table.live.size : table.unendedCount) > 0,
  }
}

/** The same id: the command that the first request started, if the body is the same. */
async function join(slot: Slot, request: RunRequest): Promise<Command> {
  if (slot.digest === null || slot.digest !== requestDigest(request)) {
    const detail = `the id ${slot.id} was used for another request`
    throw new GuestdError('id_conflict', detail, { field: 'id' })
  }
  await slot.launched
  return commandIn(slot)
}

async function allSettled({ live }: CommandTable): Promise<void> {
  while (live.size > 0) {
    await new Promise(resolve => setTimeout(resolve, STOP_LOOK_MS))
    for (const command of live.values()) command.sweep()
  }
}
