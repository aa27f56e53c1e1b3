/** The first process of a command: its launch, its time limit and its exit. */
import { GuestdError } from '../errors.ts'
import type { ExitFacts } from '../protocol/frames.ts'
import {
  type ExitStatus,
  errnoName,
  type LaunchedProcess,
  type LaunchOutcome,
  launch,
} from '../sys/launch.ts'
import { closeFd } from '../sys/pipes.ts'
import type { Output } from './command-output.ts'
import { causeOf } from './command-state.ts'
import type { Containment } from './containment.ts'
import { exitFacts } from './exit-facts.ts'
import type { Life } from './life.ts'
import { endSoFar, type Lifecycle } from './lifecycle.ts'
import type { CommandEvents } from './managed-command.ts'
import type { OutputPipes } from './output-pipes.ts'
import type { Plan } from './plan.ts'

export interface CommandProcess {
  /**
   * @throws GuestdError `cwd_not_found`, `cwd_not_directory`: no process was started. A launch that fails later
   * resolves: the command has ended.
   */
  launch(plan: Plan): Promise<void>
  /** Resolves once the launch has succeeded or failed. */
  launchDone(): Promise<void>
  /** `null` until the launch has succeeded. */
  readonly launched: LaunchedProcess | null
}

export interface ProcessParts {
  readonly life: Life
  readonly output: Output
  readonly containment: Containment
  readonly lifecycle: Lifecycle
  readonly events: CommandEvents
  /** A `performance.now()` time. */
  readonly beganAt: number
  /** 0: none. */
  readonly timeoutMs: number
  /** stderr goes into the pipe of stdout. */
  readonly isMerged: boolean
  /** The starter's reader makes the command wait, from the first byte on. */
  readonly hasStarter: boolean
  /** Kill the processes that outlive the first one. */
  readonly killRest: boolean
  /** The end of the input pipe for the process; -1: it reads /dev/null. */
  readonly stdinFd: number
  readonly closeStdin: () => void
}

/** The cursor of a starter whose reader is not attached yet. */
const beginning = () => 0

export function createProcess(parts: ProcessParts): CommandProcess {
  const { life, output, containment, lifecycle, events, beganAt } = parts
  let process: LaunchedProcess | null = null
  let timeout: NodeJS.Timeout | undefined
  let launching: Promise<void> = Promise.resolve()

  const recordExit = (known: Pick<ExitFacts, 'cause'> & Partial<ExitFacts>) => {
    clearTimeout(timeout)
    const at = new Date().toISOString()
    const durationMs = Math.round(performance.now() - beganAt)
    const workspaceFull = events.workspaceFull(beganAt)
    const facts = exitFacts({ durationMs, workspaceFull, ...known })
    life.exit = { facts, at, cursor: output.log.end }
    parts.closeStdin()
  }

  const exited = (status: ExitStatus) => {
    const oom = status.signal === 'SIGKILL' ? containment.oomScope() : null
    const ownCause = oom !== null ? 'oom' : status.signal === null ? 'exit' : 'signal'
    const cause = causeOf(lifecycle.state) ?? ownCause
    const maxRssBytes = containment.peakBytes() ?? status.maxRssBytes
    recordExit({ ...status, maxRssBytes, cause, oomScope: cause === 'oom' ? oom : null })
    lifecycle.send({ type: 'exited', killRest: parts.killRest })
    // The end may come much later; this record lets a restarted daemon report the exit.
    if (life.end === null && life.exit !== null)
      events.exited({ endedAt: life.exit.at, exit: life.exit.facts, end: endSoFar(output, 0) })
    output.wake()
  }

  const failed = (facts: Pick<ExitFacts, 'stage' | 'errno'> & Partial<ExitFacts>) => {
    recordExit({ cause: causeOf(lifecycle.state) ?? 'spawn', ...facts })
    output.pipes.close()
    lifecycle.send({ type: 'failed' })
    output.wake()
  }

  const started = (launched: LaunchedProcess) => {
    process = launched
    life.pid = launched.pid
    containment.adopt(launched)
    events.launched({ pid: launched.pid, startTime: launched.startTime })
    void launched.exited.then(exited)
    lifecycle.send({ type: 'launched' })
    if (parts.timeoutMs > 0)
      timeout = setTimeout(lifecycle.send, parts.timeoutMs, { type: 'stop', cause: 'timeout' })
    // The starter's reader may never attach: the grace for that begins now.
    if (parts.hasStarter) output.lease.cut(beginning)
  }

  const launchNow = async ({ user: _, ...spec }: Plan) => {
    // Bytes may come before the launch is known to have succeeded.
    if (parts.hasStarter) output.lease.take(beginning)
    const ends = openPipes(output.pipes, parts)
    if (!Array.isArray(ends)) return failed({ stage: 'pipe', errno: ends.errno })
    const [stdout, stderr] = ends
    const { cgroupPath } = containment
    const stdio = { stdin: parts.stdinFd, stdout, stderr }
    const launched = launch({ ...spec, ...stdio, cgroupPath }, containment.kill)
    // Reading starts while the launch thread works.
    output.pipes.read()
    const outcome = await launched
    if (outcome.kind === 'running') started(outcome.process)
    else if (outcome.kind === 'failed') failed(failureFacts(outcome))
    else throw refusal(spec.cwd, outcome.errno)
  }

  return {
    get launched() {
      return process
    },
    launch(plan) {
      launching = launchNow(plan)
      return launching
    },
    launchDone: () => launching.catch(() => undefined),
  }
}

/** The child's ends. If one cannot be created, all are closed. */
function openPipes(
  pipes: OutputPipes,
  { stdinFd, isMerged }: Pick<ProcessParts, 'stdinFd' | 'isMerged'>,
): [number, number] | { readonly errno: string | null } {
  const ends = stdinFd < 0 ? [] : [stdinFd]
  try {
    const stdout = pipes.open('stdout')
    ends.push(stdout)
    return [stdout, isMerged ? stdout : pipes.open('stderr')]
  } catch (error) {
    for (const fd of ends) closeFd(fd)
    return { errno: errnoName(error) }
  }
}

function failureFacts(outcome: Extract<LaunchOutcome, { kind: 'failed' }>) {
  const { stage, errno, interpreter = null } = outcome
  return { stage, errno, interpreter }
}

function refusal(cwd: string, errno: string): GuestdError {
  const field = { field: 'cwd' }
  return errno === 'ENOTDIR'
    ? new GuestdError('cwd_not_directory', `${cwd} is not a directory`, field)
    : new GuestdError('cwd_not_found', `${cwd}: ${errno}`, field)
}
