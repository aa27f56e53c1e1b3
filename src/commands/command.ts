/** One command: from its launch over its exit to the last byte of its pipes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { GuestdError } from '../errors.ts'
import type { Cause, ExitFacts } from '../protocol/frames.ts'
import {
  type ExitStatus,
  errnoName,
  type LaunchedProcess,
  type LaunchOutcome,
  launch,
  signalNumber,
} from '../sys/launch.ts'
import { closeFd, inputPipe } from '../sys/pipes.ts'
import { signalGroup } from '../sys/process-group.ts'
import { commandLine, describe } from './command-info.ts'
import { createOutput } from './command-output.ts'
import { timeoutOf } from './effective.ts'
import { exitFacts } from './exit-facts.ts'
import type { Life } from './life.ts'
import type { CommandOptions, ManagedCommand } from './managed-command.ts'
import type { Plan } from './plan.ts'
import { createStdin } from './stdin-pipe.ts'
import { killUntilEmpty, terminate } from './terminate.ts'

/** A kill's answer waits so long for the command to free its place; a pipe may be held from outside. */
const SETTLE_LIMIT_MS = 500
/** How often is looked whether all have gone within their grace. */
const GRACE_LOOK_MS = 20

/** The place of a starter whose stream is not there yet. */
const beginning = () => 0

export function createCommand(options: CommandOptions): ManagedCommand {
  const { id, containment, settings, events } = options
  const { detach = false, onDisconnect = 'keep', background = 'keep' } = options.request
  const isMerged = options.request.stderr === 'stdout'
  const line = commandLine(options.request)
  /** Let go with the launch: an ended command is held for long, and a script may have 1 MiB. */
  let plan: Plan | null = options.plan
  const beganAt = performance.now()
  const life: Life = {
    id,
    startedAt: new Date().toISOString(),
    cwd: options.plan.cwd,
    user: options.plan.user,
    pid: null,
    exit: null,
    end: null,
    closed: false,
  }
  // A look now: a command that makes room at once has begun in a full one.
  events.workspaceFull(beganAt)
  const input = options.request.stdin === 'open' ? inputPipe() : null
  const stdin = createStdin(input?.ourEnd ?? null, settings.stdinSilenceMs)
  const output = createOutput(life, options.budget, settings, () => {
    finish()
    settle()
  })
  const { log, hold } = output
  let child: LaunchedProcess | null = null
  let firstCause: Cause | null = null
  /** Set while it is being ended: cuts the grace short. */
  let endGrace: (() => void) | null = null
  /** A kill under way, one for all who ask for it: the end waits for it, and never counts who is dying. */
  let killing: Promise<void> | null = null
  let launching: Promise<void> = Promise.resolve()
  let timeout: NodeJS.Timeout | undefined
  let endedAt: string | null = null
  let looking: NodeJS.Timeout | undefined
  let gone = false
  /** By guestd, all of it: what outlives the processes, such as a pipe held from outside, is not waited for. */
  let isEnding = false
  let settled = false
  const settling = Promise.withResolvers<void>()

  const recordExit = (known: Pick<ExitFacts, 'cause'> & Partial<ExitFacts>) => {
    clearTimeout(timeout)
    endedAt = new Date().toISOString()
    const durationMs = Math.round(performance.now() - beganAt)
    const workspaceFull = events.workspaceFull(beganAt)
    life.exit = { facts: exitFacts({ durationMs, workspaceFull, ...known }), cursor: log.end }
    stdin.destroy()
  }

  const exited = (status: ExitStatus) => {
    const oom = status.signal === 'SIGKILL' ? containment.oomScope() : null
    const ownCause = oom !== null ? 'oom' : status.signal === null ? 'exit' : 'signal'
    const cause = firstCause ?? ownCause
    const maxRssBytes = containment.peakBytes() ?? status.maxRssBytes
    recordExit({ ...status, maxRssBytes, cause, oomScope: cause === 'oom' ? oom : null })
    if (background === 'keep') finishOrDrain()
    else void killAll()
    // The end may be far: a daemon that restarts in between knows this much.
    if (life.end === null && life.exit !== null) events.exited(life.exit.facts, endFacts(0))
    output.wake()
  }

  /** Resolves once no process is left. */
  const killAll = () => {
    isEnding = true
    killing ??= (gone ? Promise.resolve() : killUntilEmpty(containment)).then(() => {
      killing = null
      if (life.exit !== null && life.end === null) finishOrDrain()
      settle()
    })
    return killing
  }

  const finishOrDrain = () => {
    if (life.closed || (isEnding && isGone())) finish()
    else output.drain(finish)
  }

  const endFacts = (descendants: number) => {
    const { stdout, stderr } = log.totals
    return { stdoutBytes: stdout, stderrBytes: stderr, descendants }
  }

  const finish = () => {
    if (life.end !== null || life.exit === null || killing !== null) return
    if (endGrace !== null && !isGone()) {
      // Who is in its grace is not counted as living on.
      clearTimeout(looking)
      looking = setTimeout(finish, GRACE_LOOK_MS)
      return
    }
    // Comes back when they are closed.
    if (isEnding && !life.closed && isGone()) return output.finishPipes()
    const facts = endFacts(isGone() ? 0 : containment.count())
    life.end = { facts, cursor: log.end }
    events.ended(life.exit.facts, facts)
    // The exit and the end of a command that leaves nobody behind go out in one write.
    output.wake()
    events.announced()
    settle()
  }

  /** Nobody is left: from now on its cgroup or group id may be somebody else's. */
  const isGone = () => {
    gone ||= containment.remove()
    return gone
  }

  const settle = () => {
    if (settled || life.end === null || !isGone()) return
    if (!life.closed) {
      if (isEnding) output.finishPipes()
      return
    }
    settled = true
    settling.resolve()
    events.settled()
  }

  const stop = (cause: Cause) => {
    if (cause === 'stopped') hold.release()
    if (settled || endGrace !== null) return
    if (life.exit === null) firstCause ??= cause
    isEnding = true
    endGrace = terminate(containment, settings.killGraceMs, killAll)
  }

  /** The ends for the child; without the descriptors for them, none of them stays open. */
  const openPipes = (): [number, number] | { errno: string | null } => {
    const ends = input === null ? [] : [input.childEnd]
    try {
      const stdout = output.open('stdout')
      ends.push(stdout)
      return [stdout, isMerged ? stdout : output.open('stderr')]
    } catch (error) {
      for (const fd of ends) closeFd(fd)
      return { errno: errnoName(error) }
    }
  }

  const failed = (facts: Pick<ExitFacts, 'stage' | 'errno'> & Partial<ExitFacts>) => {
    recordExit({ cause: firstCause ?? 'spawn', ...facts })
    output.closePipes()
    finish()
    output.wake()
  }

  const launched = (process: LaunchedProcess) => {
    child = process
    life.pid = process.pid
    containment.adopt(process)
    events.launched(process.pid, process.startTime)
    void process.exited.then(exited)
    // Asked to stop while it was being launched.
    if (endGrace !== null) endGrace = terminate(containment, settings.killGraceMs, killAll)
    const limitMs = timeoutOf(options.request, settings.timeoutMs)
    if (limitMs > 0) timeout = setTimeout(() => stop('timeout'), limitMs)
    // If the starter's stream never comes: as after a cut.
    if (!detach) hold.cut(beginning)
  }

  const launchNow = async () => {
    if (plan === null) return
    const { user: _, ...spec } = plan
    plan = null
    // From the first byte on, which may come before the launch is known to have succeeded.
    if (!detach) hold.take(beginning)
    const ends = openPipes()
    if (!Array.isArray(ends)) return failed({ stage: 'pipe', errno: ends.errno })
    const [stdout, stderr] = ends
    const stdio = { stdin: input?.childEnd ?? -1, stdout, stderr }
    const { cgroupPath } = containment
    const launching = launch({ ...spec, ...stdio, cgroupPath }, containment.kill)
    // Meanwhile its thread is at work.
    output.read()
    const outcome = await launching
    if (outcome.kind === 'running') launched(outcome.process)
    else if (outcome.kind === 'failed') failed(failureFacts(outcome))
    else throw refusal(spec.cwd, outcome.errno)
  }

  return {
    id,
    containment,
    request: { detach, onDisconnect },
    stdin,
    get state() {
      return life.exit === null ? 'running' : 'ended'
    },
    get settled() {
      return settled
    },
    get isComplete() {
      return life.end !== null && life.closed
    },
    get endedAt() {
      return endedAt
    },
    launch() {
      launching = launchNow()
      return launching
    },
    attach: attachOptions =>
      output.attach(attachOptions, () => {
        const kill = attachOptions.hold && onDisconnect === 'kill'
        if (kill && life.exit === null) stop('disconnected')
      }),
    signal(name, target) {
      const number = signalNumber(name)
      if (number === null)
        throw new GuestdError('invalid_request', `there is no signal ${name}`, { field: 'signal' })
      const gone = () => new GuestdError('command_ended', `the command ${id} has ended`)
      const toAll = target === 'cgroup' && !containment.isEmpty()
      if (!toAll && (child === null || life.exit !== null)) throw gone()
      const toGroup = () => (child === null ? 'gone' : signalGroup(child.pid, number))
      const toSome = () => (target === 'process' ? child?.signal(number) : toGroup())
      const result = toAll ? containment.signalAll(number) : toSome()
      if (result === 'denied' || result === 'unreached') throw notSent(name, result)
      if (result !== 'sent' && !toAll) throw gone()
    },
    async kill() {
      const unborn = life.pid === null && life.exit === null
      const moved = settled ? null : containment.findMoved()
      if (life.exit === null) firstCause ??= 'killed'
      // The group id of a settled command may be somebody else's by now.
      if (!settled) await killAll()
      if (unborn) {
        // Its launch may have been past that.
        await launching.catch(() => undefined)
        await killAll()
      }
      // Nobody is left; that its exit and its pipes are told takes the loop a turn or two more.
      await Promise.race([settling.promise, sleep(SETTLE_LIMIT_MS, undefined, { ref: false })])
      const left = moved?.left() ?? []
      return { id, empty: left.length === 0, proof: containment.proof, moved: [...left] }
    },
    stop,
    hurry: () => endGrace?.(),
    settle,
    retire() {
      if (!settled || endedAt === null || output.isRead) return null
      const { begin, end: cursor, totals } = log
      if (begin === cursor) output.discard()
      return {
        life,
        endedAt,
        commandLine: line,
        request: { detach, onDisconnect },
        proof: containment.proof,
        stdoutBytes: totals.stdout,
        stderrBytes: totals.stderr,
        cursor,
        stdin: input === null ? null : stdin,
        isEndKnown: true,
        output: begin === cursor ? null : output,
      }
    },
    discard() {
      stdin.destroy()
      output.discard()
    },
    info() {
      const running = life.exit === null
      return describe({
        life,
        log,
        proof: containment.proof,
        usage: running ? containment.usage() : null,
        descendants: running || gone ? 0 : containment.count(),
        commandLine: line,
        detach,
        endedAt,
      })
    },
  }
}

function failureFacts(outcome: Extract<LaunchOutcome, { kind: 'failed' }>) {
  const { stage, errno, interpreter = null } = outcome
  return { stage, errno, interpreter }
}

function notSent(name: string, result: 'denied' | 'unreached'): GuestdError {
  return result === 'denied'
    ? new GuestdError('signal_not_allowed', `guestd may not send ${name} to all of them`)
    : new GuestdError('internal', `${name} has not reached all: there was no free descriptor`)
}

function refusal(cwd: string, errno: string): GuestdError {
  const field = { field: 'cwd' }
  return errno === 'ENOTDIR'
    ? new GuestdError('cwd_not_directory', `${cwd} is not a directory`, field)
    : new GuestdError('cwd_not_found', `${cwd}: ${errno}`, field)
}
