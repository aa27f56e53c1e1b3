/** Watches the state in `runDir`: writes it again if it is lost, and reports problems. */
import type { Journal } from '../commands/journal.ts'
import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import type { StateProblem } from '../protocol/schemas.ts'
import type { StateReasons } from '../session/readiness.ts'
import { messageOf } from '../util/message-of.ts'
import type { RunDir } from './run-dir.ts'

export interface StateWatch extends StateReasons {
  stop(): void
}

export interface StateWatchOptions {
  readonly path: string
  readonly runDir: RunDir
  readonly journal: Pick<Journal, 'save' | 'catchUp' | 'isComplete'>
  /** Writes the other files of the folder again. @throws if a file cannot be written */
  readonly save: () => void
  readonly report: Report
}

export type Report = (code: StateProblem, reason: string) => void

/** Interval of the checks, in milliseconds. */
const LOOK_MS = 2_000

/** Reports a problem in the log and as an event. */
export function createReport(log: Log, emit: Emit): Report {
  return (code, reason) => {
    log.error({ component: 'state', code, reason }, 'the state in runDir has a problem')
    emit({ type: 'state_problem', code, reason })
  }
}

export function watchState(options: StateWatchOptions): StateWatch {
  const { path, runDir, journal, save, report } = options
  let unsaved: string | null = null
  let reported: string | null = null

  const restore = () => {
    try {
      journal.save()
      save()
      unsaved = null
    } catch (error) {
      unsaved = `${path} cannot be written: ${messageOf(error)}`
    }
  }

  const look = () => {
    const state = runDir.check()
    if (state === 'restored') report('run_dir_lost', `${path} was deleted, and was made again`)
    if (state === 'restored' || (state === 'kept' && unsaved !== null)) restore()
    else if (state === 'kept') journal.catchUp()
    const problem = runDir.problem ?? unsaved
    if (problem !== null && problem !== reported) report('run_dir_lost', problem)
    reported = problem
  }

  const timer = setInterval(look, LOOK_MS).unref()
  return {
    look,
    reasons() {
      const problem = runDir.problem ?? unsaved
      if (problem !== null) return [`runDir: ${problem}`]
      return journal.isComplete ? [] : [`runDir: ${path} is full: the journal is not complete`]
    },
    stop: () => clearInterval(timer),
  }
}
