/** Starts a command: checks, plan, journal, launch. */
import { randomUUID } from 'node:crypto'
import { GuestdError } from '../errors.ts'
import type { RunRequest } from '../protocol/schemas.ts'
import type { Trace } from '../protocol/trace-context.ts'
import type { Budget } from './budget.ts'
import { createCommand } from './command.ts'
import { commandLine } from './command-info.ts'
import type { CommandTable } from './command-table.ts'
import { type Containment, createContainment } from './containment.ts'
import { requestDigest } from './digest.ts'
import { type EndDetails, endDetails } from './effective.ts'
import type { Journal, StartRecord } from './journal.ts'
import type { CommandEvents, CommandSettings, ManagedCommand } from './managed-command.ts'
import { type Machine, type Plan, planLaunch } from './plan.ts'
import type { RegistryHooks, RegistrySettings } from './registry-types.ts'
import { isRescue } from './rescue.ts'

export interface StartContext {
  readonly settings: RegistrySettings
  readonly machine: Machine
  readonly journal: Journal
  readonly hooks: RegistryHooks
  readonly table: CommandTable
  readonly budget: Budget
  readonly commandSettings: CommandSettings
}

/** Resolves once the launch has succeeded or failed. @throws GuestdError: see `Commands.run` */
export async function startCommand(
  context: StartContext,
  request: RunRequest,
  trace: Trace | null,
): Promise<ManagedCommand> {
  const { settings, machine, journal, hooks, table } = context
  if (table.live.size >= settings.maxCommands) {
    const detail = `${settings.maxCommands} commands run already: maxCommands`
    throw new GuestdError('too_many_commands', detail)
  }
  const inForce = { ...settings, ...settings.defaults() }
  const plan = planLaunch(request, inForce, machine, trace)
  hooks.admit(plan.cwd)
  const id = request.id ?? randomUUID()
  const digest = request.id === undefined ? null : requestDigest(request)
  const containment = createContainment(machine.cgroups, id, isRescue(plan, settings, machine))
  journal.started(startRecord(id, digest, request, plan, containment))
  try {
    const details = endDetails(request, trace, inForce)
    const command = makeCommand(context, id, request, plan, containment, details)
    table.begin(command)
    const launched = launchAt(settings.workspace, command, plan)
    table.add({ id, command, digest, launched })
    await launched
    return command
  } catch (error) {
    table.forget(id)
    throw error
  }
}

function startRecord(
  id: string,
  digest: string | null,
  request: RunRequest,
  { cwd, user }: Plan,
  { cgroupPath }: Containment,
): StartRecord {
  const { detach = false, onDisconnect = 'keep' } = request
  const startedAt = new Date().toISOString()
  const line = commandLine(request)
  return { id, digest, startedAt, cwd, user, commandLine: line, detach, onDisconnect, cgroupPath }
}

function makeCommand(
  { journal, hooks, table, budget, commandSettings }: StartContext,
  id: string,
  request: RunRequest,
  { cwd, user }: Plan,
  containment: Containment,
  details: EndDetails,
): ManagedCommand {
  const events: CommandEvents = {
    launched(process) {
      journal.launched(id, process)
      hooks.started(id, user)
    },
    exited: record => journal.ended(id, record),
    ended(record) {
      table.ended(id)
      journal.ended(id, record)
    },
    announced: () => hooks.ended(command, details),
    settled() {
      table.settled(id)
      hooks.settled()
    },
    workspaceFull: hooks.workspaceFull,
  }
  const command = createCommand({
    id,
    request,
    cwd,
    user,
    containment,
    budget,
    settings: commandSettings,
    events,
  })
  return command
}

/** Where the workspace itself is missing the request is not at fault. */
async function launchAt(workspace: string, command: ManagedCommand, plan: Plan): Promise<void> {
  try {
    await command.launch(plan)
  } catch (error) {
    const code = error instanceof GuestdError ? error.code : null
    const isNoFolder = code === 'cwd_not_found' || code === 'cwd_not_directory'
    if (!isNoFolder || plan.cwd !== workspace) throw error
    throw new GuestdError('workspace_unavailable', `the workspace ${workspace} is not there`)
  }
}
