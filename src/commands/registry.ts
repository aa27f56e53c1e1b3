/** All commands: who runs, who has ended and can still be read, and which request is whose. */
import { randomUUID } from 'node:crypto'
import { GuestdError } from '../errors.ts'
import type { RunRequest } from '../protocol/schemas.ts'
import type { Trace } from '../protocol/trace-context.ts'
import { reapOrphans } from '../sys/orphans.ts'
import { atMost } from '../util/at-most.ts'
import { createBlockPool } from './blocks.ts'
import { createBudget } from './budget.ts'
import { createCommand } from './command.ts'
import { commandLine } from './command-info.ts'
import { type Containment, createContainment } from './containment.ts'
import { requestDigest } from './digest.ts'
import { type EndDetails, endDetails } from './effective.ts'
import { createRetention } from './ended-retention.ts'
import type { Entry, Journal } from './journal.ts'
import type { CommandSettings, ManagedCommand } from './managed-command.ts'
import { type Machine, type Plan, type PlanSettings, planLaunch } from './plan.ts'
import { killRemains, lostEnd, recovered } from './recovered.ts'
import { isRescue } from './rescue.ts'
import { discard, type Slot, seen } from './slot.ts'
import { killStrays, NO_STRAYS, type Strays } from './strays.ts'
import type { Command, Commands } from './types.ts'

export interface RegistrySettings
  extends Omit<PlanSettings, 'env' | 'limits'>,
    Omit<CommandSettings, 'fullMark' | 'pool' | 'ringBytes'> {
  readonly maxCommands: number
  /** Environment and limits of commands that ask for none. The host may change them: called for each command. */
  readonly defaults: () => Pick<PlanSettings, 'env' | 'limits'>
  /** How long the commands may take to end when guestd stops. */
  readonly stopLimitMs: number
  readonly output: {
    readonly ringBytes: number
    readonly totalBytes: number
    readonly keepMs: number
    readonly keepCommands: number
  }
}

export interface RegistryHooks {
  /** Rejects with a GuestdError where no command may begin as there is no room for it. */
  readonly room: () => Promise<void>
  /** Throws a GuestdError where no command may begin in this working directory. */
  readonly admit: (cwd: string) => void
  /** What of the workspace was seen full since then, of `performance.now()`. */
  readonly workspaceFull: (since: number) => 'bytes' | 'inodes' | null
  /** A command was launched. */
  readonly started: (id: string, user: string) => void
  /** A command ended: once each. */
  readonly ended: (command: Command, details: EndDetails) => void
  /** Nothing of it is left. */
  readonly settled: () => void
}

export interface Registry extends Commands {
  /**
   * Kills what the daemon before this one left running, and lists all that it knew.
   *
   * @returns what was killed that the journal does not name
   */
  recover(): Promise<Strays>
  /**
   * Refuses new commands and ends the running ones with cause `stopped`: SIGTERM, the grace, then
   * the kill. Resolves when every one has given its last bytes, or `stopLimitMs` has passed.
   */
  stop(): Promise<void>
  /** Cuts the graces of a stop short. */
  hurry(): void
  /** Whether a command has not ended, or with `descendants` whether anything of one is left. */
  isBusy(descendants: boolean): boolean
}

/** How often is looked for commands that have expired or can be retired, and descendants that have gone. */
const SWEEP_MS = 1_000
/** Largest lag of a starter: more gains no throughput. */
const LARGEST_MARK_BYTES = 1024 * 1024
const SMALLEST_MARK_BYTES = 64 * 1024
/** The capacity of a pipe as guestd asks for it: a larger read finds no more. */
const LARGEST_READ_BYTES = 256 * 1024
const SMALLEST_READ_BYTES = 64 * 1024

export function createRegistry(
  settings: RegistrySettings,
  machine: Machine,
  journal: Journal,
  hooks: RegistryHooks,
): Registry {
  const slots = new Map<string, Slot>()
  /** Running, or ended with descendants or pipes still open: these count, and are never forgotten. */
  const live = new Map<string, ManagedCommand>()
  /** Of those the ones whose end is not told yet. */
  const unended = new Set<string>()
  /** To be retired once nobody reads them any more. */
  const settledIds = new Set<string>()
  const retention = createRetention(settings.output.keepMs, settings.output.keepCommands)
  const budget = createBudget(settings.output.totalBytes)
  reapOrphans()
  let stopping = false
  let sweeper: NodeJS.Timeout | undefined

  /** A starter's share of the bound: what lags, and what reads of its two pipes add to that. */
  const share = settings.output.totalBytes / settings.maxCommands
  const fullMark = clamp(share / 2, SMALLEST_MARK_BYTES, LARGEST_MARK_BYTES)
  const readBytes = clamp(share / 4, SMALLEST_READ_BYTES, LARGEST_READ_BYTES)
  const { ringBytes } = settings.output
  const pool = createBlockPool(blockSize(readBytes, ringBytes), size =>
    Math.max(settings.output.totalBytes - budget.heldBytes, SPARE_BLOCKS * size),
  )
  const commandSettings: CommandSettings = { ...settings, fullMark, pool, ringBytes }

  const forget = (id: string) => {
    const slot = slots.get(id)
    if (slot !== undefined) discard(slot)
    slots.delete(id)
    live.delete(id)
    unended.delete(id)
    settledIds.delete(id)
    journal.forgotten(id)
  }

  const forgetExpired = () => {
    for (const id of retention.takeExpired()) forget(id)
  }

  const retire = (id: string) => {
    const slot = slots.get(id)
    if (slot === undefined || 'retired' in slot.command) return
    const retired = slot.command.retire()
    if (retired === null) return
    slots.set(id, { id, command: { retired }, digest: slot.digest, launched: null })
    settledIds.delete(id)
  }

  const sweep = () => {
    for (const command of live.values()) command.settle()
    forgetExpired()
    for (const id of settledIds) retire(id)
    pool.trim()
    if (slots.size > 0) return
    pool.clear()
    clearInterval(sweeper)
    sweeper = undefined
  }

  const keepSweeping = () => {
    sweeper ??= setInterval(sweep, SWEEP_MS)
    sweeper.unref()
  }

  const settled = (id: string) => {
    live.delete(id)
    settledIds.add(id)
    retention.add(id)
    forgetExpired()
    hooks.settled()
  }

  const create = (
    id: string,
    request: RunRequest,
    plan: Plan,
    containment: Containment,
    trace: Trace | null,
  ): ManagedCommand => {
    const details = endDetails(request, trace, { ...settings, ...settings.defaults() })
    const command = createCommand({
      id,
      request,
      plan,
      containment,
      budget,
      settings: commandSettings,
      events: {
        launched: (pid, startTime) => {
          journal.launched(id, { pid, startTime })
          hooks.started(id, plan.user)
        },
        exited: (exit, soFar) =>
          journal.ended(id, { endedAt: command.endedAt ?? '', exit, end: soFar }),
        ended: (exit, end) => {
          unended.delete(id)
          journal.ended(id, { endedAt: command.endedAt ?? '', exit, end })
        },
        announced: () => hooks.ended(command, details),
        settled: () => settled(id),
        workspaceFull: hooks.workspaceFull,
      },
    })
    return command
  }

  const start = async (request: RunRequest, trace: Trace | null): Promise<ManagedCommand> => {
    if (stopping) throw new GuestdError('stopping', 'guestd is stopping and takes no commands')
    if (live.size >= settings.maxCommands) {
      const detail = `${settings.maxCommands} commands run already: maxCommands`
      throw new GuestdError('too_many_commands', detail)
    }
    const plan = planLaunch(request, { ...settings, ...settings.defaults() }, machine, trace)
    hooks.admit(plan.cwd)
    const id = request.id ?? randomUUID()
    const digest = request.id === undefined ? null : requestDigest(request)
    const containment = createContainment(machine.cgroups, id, isRescue(plan, settings, machine))
    journal.started({
      id,
      digest,
      startedAt: new Date().toISOString(),
      cwd: plan.cwd,
      user: plan.user,
      commandLine: commandLine(request),
      detach: request.detach ?? false,
      onDisconnect: request.onDisconnect ?? 'keep',
      cgroupPath: containment.cgroupPath,
    })
    try {
      const command = create(id, request, plan, containment, trace)
      live.set(id, command)
      unended.add(id)
      const launched = launchAt(settings.workspace, command, plan)
      slots.set(id, { id, command, digest, launched })
      keepSweeping()
      await launched
      return command
    } catch (error) {
      forget(id)
      throw error
    }
  }

  /** The same id: the command that the first request started, if the body is the same. */
  const attach = async (slot: Slot, request: RunRequest): Promise<Command> => {
    if (slot.digest === null || slot.digest !== requestDigest(request)) {
      const detail = `the id ${slot.id} was used for another request`
      throw new GuestdError('id_conflict', detail, { field: 'id' })
    }
    await slot.launched
    return seen(slot)
  }

  const recoverOne = (entry: Entry) => {
    const end = entry.end ?? lostEnd(new Date().toISOString())
    if (entry.end === null) journal.ended(entry.start.id, end)
    const { id, digest } = entry.start
    slots.set(id, { id, command: { retired: recovered(entry, end) }, digest, launched: null })
    retention.add(id)
  }

  const hurry = () => {
    for (const command of live.values()) command.hurry()
  }

  const allSettled = async () => {
    while (live.size > 0) {
      await new Promise(resolve => setTimeout(resolve, STOP_LOOK_MS))
      for (const command of live.values()) command.settle()
    }
  }

  return {
    async run(request, trace = null) {
      const known = () => (request.id === undefined ? undefined : slots.get(request.id))
      if (known() === undefined && request.allowOverCap !== true) await hooks.room()
      // The same request may have come meanwhile.
      const slot = known()
      if (slot !== undefined) return { command: await attach(slot, request), created: false }
      return { command: await start(request, trace), created: true }
    },
    get(id) {
      const slot = slots.get(id)
      if (slot !== undefined) return seen(slot)
      throw new GuestdError('command_not_found', `there is no command ${id}`, { field: 'id' })
    },
    list: () => [...slots.values()].map(seen),
    get counts() {
      const running = [...live.values()].filter(({ state }) => state === 'running').length
      return { running, ended: slots.size - running }
    },
    async recover() {
      const left = [...journal.foreign, ...journal.recovered]
      const known = new Set(left.map(({ start }) => start.cgroupPath))
      const { cgroups } = machine
      let strays: Strays | null = null
      const killed = async () => {
        if (cgroups !== null) strays = await killStrays(cgroups, known)
      }
      await atMost(RECOVER_LIMIT_MS, Promise.all([...left.map(killRemains), killed()]))
      for (const entry of journal.recovered) recoverOne(entry)
      if (slots.size > 0) keepSweeping()
      return strays ?? NO_STRAYS
    },
    async stop() {
      stopping = true
      for (const command of live.values()) command.stop('stopped')
      const graces = settings.stopLimitMs - Math.min(KILL_RESERVE_MS, settings.stopLimitMs / 2)
      const timer = setTimeout(hurry, graces)
      await atMost(settings.stopLimitMs, allSettled())
      clearTimeout(timer)
    },
    hurry,
    isBusy: descendants => (descendants ? live : unended).size > 0,
  }
}

/** How often a stop looks whether the commands have ended. */
const STOP_LOOK_MS = 5

/** What of `stopLimitMs` is for the kills, after the graces. */
const KILL_RESERVE_MS = 2_000

/** A process that cannot be killed, as in uninterruptible sleep, must not keep guestd from serving. */
const RECOVER_LIMIT_MS = 10_000

/** Free blocks that are kept though all commands together are at their bound: one drops what the next takes. */
const SPARE_BLOCKS = 8
/** So many blocks at least make a ring: what it drops at a time is the part of one. */
const RING_BLOCKS = 8

/** A power of two: blocks grow to it by doubling. */
function blockSize(readBytes: number, ringBytes: number): number {
  return 2 ** Math.floor(Math.log2(Math.min(readBytes, ringBytes / RING_BLOCKS)))
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, Math.floor(value)))
}

/** The workspace itself missing is not the request's fault. */
async function launchAt(workspace: string, command: ManagedCommand, plan: Plan): Promise<void> {
  try {
    await command.launch()
  } catch (error) {
    const missing = error instanceof GuestdError && error.code.startsWith('cwd_')
    if (!missing || plan.cwd !== workspace) throw error
    throw new GuestdError('workspace_unavailable', `the workspace ${workspace} is not there`)
  }
}
