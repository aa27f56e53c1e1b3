/** Carries out what the table of `mount-state.ts` decides: attempts, reports, the unmount. */
import { asGuestdError, GuestdError } from '../errors.ts'
import type { Report } from '../events/steps.ts'
import type { Receipt, StopReason } from '../protocol/schemas.ts'
import { sleep } from '../util/sleep.ts'
import type { Owner } from '../volume/owner.ts'
import { emitMounted } from './mount-events.ts'
import { mountReason } from './mount-reason.ts'
import {
  firstStep,
  type MountEffect,
  type MountEvent,
  type MountState,
  type MountStep,
  transition,
} from './mount-state.ts'
import type { MountedVolume } from './mounted-volume.ts'
import { volumeReceipt } from './new-receipt.ts'
import { type StopBudget, type StopParts, startBudget } from './stop-budget.ts'
import type { WorkspaceHooks } from './types.ts'

export interface MountDriver {
  readonly state: MountState
  /** `null`: nothing is mounted, or it is being unmounted. */
  readonly mounted: MountedVolume | null
  /** Settles with the attempt that runs. */
  readonly attempt: Promise<void>
  /** Tries to mount again if nothing is mounted, and assigns the volume. @throws GuestdError `session_mismatch` */
  bind(owner: Owner): Promise<void>
  /** To be called once. Never fails. */
  end(report: Report, reason: StopReason): Promise<Receipt>
}

export interface DriverOptions {
  readonly path: string
  /** The first attempt waits for the session. */
  readonly waits: boolean
  readonly owner: Owner | null
  readonly stopParts: StopParts
  readonly hooks: WorkspaceHooks
  /** @throws GuestdError: nothing is mounted */
  readonly mount: (owner: Owner | null, cancel: AbortSignal) => Promise<MountedVolume>
}

interface Ending {
  /** `null`: the receipt was made without waiting for the attempt. */
  readonly budget: StopBudget | null
  readonly report: Report
  readonly reason: StopReason
}

/** A device that appears late, or is repaired, is found this soon, in milliseconds. */
const RETRY_MS = 2_000

const MOUNTED_ALREADY =
  'it was mounted before this session was set, and takes no more commands; running commands continue. With requireSession it is not mounted before'

export function createMountDriver(options: DriverOptions): MountDriver {
  const { hooks } = options
  let { owner } = options
  let mounted: MountedVolume | null = null
  let attempt: Promise<void> = Promise.resolve()
  let ending: Ending | null = null
  const cancelled = new AbortController()
  const ended = Promise.withResolvers<Receipt>()

  const attemptNow = async () => {
    try {
      mounted = await options.mount(owner, cancelled.signal)
      emitMounted(mounted.volume, hooks.log, hooks.emit)
      machine.dispatch({ type: 'succeeded' })
    } catch (error) {
      machine.dispatch({ type: 'failed', failure: asGuestdError(error) })
    }
  }
  const unmountNow = async () => {
    if (mounted === null || ending === null) return
    const budget = ending.budget ?? startBudget(options.stopParts)
    const receipt = await mounted.end({ ...ending, budget, lastActivity: hooks.lastActivity() })
    machine.dispatch({ type: 'unmounted' })
    ended.resolve(receipt)
  }
  const machine = createMachine({
    attempt: () => {
      attempt = attemptNow()
    },
    retryLater: createRetryTimer(() => machine.dispatch({ type: 'retry' })),
    cancel: () => cancelled.abort(),
    reportFailure: state => report(options, state, 'the workspace is not there'),
    reportRefusal: state => report(options, state, 'the workspace takes no commands'),
    unmount: () => void unmountNow(),
    endWithoutMount: () => ended.resolve(volumeReceipt(null, 'none', [])),
  })

  machine.start(options.waits)
  return {
    get state() {
      return machine.state
    },
    get mounted() {
      return machine.isMounted ? mounted : null
    },
    get attempt() {
      return attempt
    },
    async bind(given) {
      const before = owner
      owner = given
      // An attempt that runs has begun without this owner.
      await attempt
      machine.dispatch({ type: 'bind' })
      await attempt
      try {
        await assign(machine.state, machine.isMounted ? mounted : null, given, hooks)
        machine.dispatch({ type: 'accepted' })
      } catch (error) {
        owner = before
        const failure = asGuestdError(error)
        if (!machine.isMounted || failure.code !== 'session_mismatch') throw error
        machine.dispatch({ type: 'refused', failure })
        throw mountedForAnother(failure)
      }
    },
    async end(reportStep, reason) {
      const budget = startBudget(options.stopParts)
      ending = { budget, report: reportStep, reason }
      machine.dispatch({ type: 'end' })
      await Promise.race([attempt, sleep(budget.leftMs('flush'), { ref: false })])
      if (machine.state.name !== 'cancelling') return await ended.promise
      // A volume that is mounted after this is unmounted again, without reports.
      ending = { budget: null, report: () => {}, reason }
      return volumeReceipt(null, 'none', ['mount: it was still under way at the end of the stop'])
    },
  }
}

/** A call replaces the timer of the call before. */
function createRetryTimer(retry: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  return () => {
    clearTimeout(timer)
    timer = setTimeout(retry, RETRY_MS).unref()
  }
}

function mountedForAnother({ message }: GuestdError): GuestdError {
  return new GuestdError('session_mismatch', `${message}; ${MOUNTED_ALREADY}`, { field: 'id' })
}

interface Machine {
  readonly state: MountState
  readonly isMounted: boolean
  start(waits: boolean): void
  dispatch(event: MountEvent): void
}

function createMachine(
  effects: Readonly<Record<MountEffect, (state: MountState) => void>>,
): Machine {
  let state: MountState = { name: 'waiting' }
  const enter = (step: MountStep) => {
    state = step.state
    for (const effect of step.effects) effects[effect](state)
  }
  return {
    get state() {
      return state
    },
    get isMounted() {
      return state.name === 'mounted' || state.name === 'refused'
    },
    start: waits => enter(firstStep(waits)),
    dispatch: event => enter(transition(state, event)),
  }
}

/** @throws GuestdError `session_mismatch` */
async function assign(
  state: MountState,
  mounted: MountedVolume | null,
  owner: Owner,
  { log }: WorkspaceHooks,
): Promise<void> {
  if (state.name === 'foreign') throw state.failure
  const unwritten = await mounted?.volume.history.bind(owner)
  if (unwritten) log.warn({ reason: unwritten }, 'the mark gets its owner at the stop')
}

function report({ path, hooks }: DriverOptions, state: MountState, message: string): void {
  const reason = mountReason(state) ?? ''
  hooks.log.error({ path, reason }, message)
  hooks.emit({ type: 'workspace_unavailable', reason })
}
