/** One command, from its launch to the last byte of its pipes. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { KillReply } from '../protocol/schemas.ts'
import { inputPipe } from '../sys/pipes.ts'
import { commandLine, describe } from './command-info.ts'
import { createOutput, type Output } from './command-output.ts'
import { type CommandProcess, createProcess } from './command-process.ts'
import { isGone } from './command-state.ts'
import type { Containment } from './containment.ts'
import { timeoutOf } from './effective.ts'
import type { Ended } from './ended-command.ts'
import type { Life } from './life.ts'
import { createLifecycle, type Lifecycle } from './lifecycle.ts'
import type { CommandOptions, ManagedCommand } from './managed-command.ts'
import { signalCommand } from './signal-command.ts'
import { createStdin } from './stdin-pipe.ts'

/** How long DELETE waits for the command to settle before it replies: an outside process can hold a pipe open. */
const SETTLE_LIMIT_MS = 500

export function createCommand(options: CommandOptions): ManagedCommand {
  const { request, containment, settings, events } = options
  const life = newLife(options)
  const beganAt = performance.now()
  // Sampled before the launch: the command may free space before the next sample.
  events.workspaceFull(beganAt)
  const input = request.stdin === 'open' ? inputPipe() : null
  const stdin = createStdin(input?.ourEnd ?? null, settings.stdinSilenceMs)
  const pipesClosed = () => lifecycle.send({ type: 'pipesClosed' })
  const output = createOutput(life, options.budget, settings, pipesClosed)
  const { killGraceMs } = settings
  const lifecycle = createLifecycle({ life, output, containment, events, killGraceMs })
  const { detach = false, onDisconnect = 'keep' } = request
  const process = createProcess({
    life,
    output,
    containment,
    lifecycle,
    events,
    beganAt,
    timeoutMs: timeoutOf(request, settings.timeoutMs),
    isMerged: request.stderr === 'stdout',
    hasStarter: !detach,
    killRest: request.background === 'kill',
    stdinFd: input?.childEnd ?? -1,
    closeStdin: stdin.destroy,
  })
  return controlOf({
    life,
    output,
    containment,
    lifecycle,
    process,
    stdin,
    hasStdin: input !== null,
    request: { detach, onDisconnect },
    commandLine: commandLine(request),
  })
}

function newLife({ id, cwd, user }: CommandOptions): Life {
  const startedAt = new Date().toISOString()
  return { id, startedAt, cwd, user, pid: null, exit: null, end: null, closed: false }
}

/** The request itself is not among them: a script may have 1 MiB, and an ended command is kept for a long time. */
interface Parts {
  readonly life: Life
  readonly output: Output
  readonly containment: Containment
  readonly lifecycle: Lifecycle
  readonly process: CommandProcess
  readonly stdin: ReturnType<typeof createStdin>
  readonly hasStdin: boolean
  readonly request: ManagedCommand['request']
  readonly commandLine: string
}

function controlOf(parts: Parts): ManagedCommand {
  const { life, output, containment, lifecycle, process, stdin, request } = parts
  const { id } = life
  return {
    id,
    containment,
    request,
    stdin,
    get state() {
      return life.exit === null ? 'running' : 'ended'
    },
    get isComplete() {
      return life.end !== null && life.closed
    },
    launch: process.launch,
    attach: options =>
      output.attach(options, () => {
        const kill = options.hold && request.onDisconnect === 'kill'
        if (kill && life.exit === null) lifecycle.send({ type: 'stop', cause: 'disconnected' })
      }),
    signal(name, target) {
      const receiver = life.exit === null ? process.launched : null
      signalCommand({ id, containment, process: receiver }, name, target)
    },
    kill: () => killCommand(parts),
    stop(cause) {
      if (cause === 'stopped') output.lease.release()
      lifecycle.send({ type: 'stop', cause })
    },
    skipGrace: lifecycle.skipGrace,
    sweep: () => lifecycle.send({ type: 'sweep' }),
    retire: () => (lifecycle.state.name === 'settled' && !output.isRead ? endedOf(parts) : null),
    discard() {
      stdin.destroy()
      output.discard()
    },
    info() {
      const isRunning = life.exit === null
      return describe({
        life,
        log: output.log,
        proof: containment.proof,
        usage: isRunning ? containment.usage() : null,
        descendants: isRunning || isGone(lifecycle.state) ? 0 : containment.count(),
        commandLine: parts.commandLine,
        detach: request.detach,
      })
    },
  }
}

async function killCommand({ life, containment, lifecycle, process }: Parts): Promise<KillReply> {
  const { name } = lifecycle.state
  // The group id of a settled command may belong to other processes.
  const moved = name === 'settled' ? null : containment.findMoved()
  await lifecycle.kill()
  if (name === 'launching') {
    // The process may have started after the kill.
    await process.launchDone()
    await lifecycle.kill()
  }
  // All processes are gone, but the exit and close callbacks run one or two turns later.
  const limit = sleep(SETTLE_LIMIT_MS, undefined, { ref: false })
  await Promise.race([lifecycle.settled, limit])
  const left = moved?.left() ?? []
  return { id: life.id, empty: left.length === 0, proof: containment.proof, moved: [...left] }
}

/** What is kept of a settled command. */
function endedOf(parts: Parts): Ended {
  const { life, output, containment, stdin, hasStdin, request, commandLine } = parts
  const { begin, end: cursor, totals } = output.log
  const isEmpty = begin === cursor
  if (isEmpty) output.discard()
  return {
    life,
    commandLine,
    request,
    proof: containment.proof,
    stdoutBytes: totals.stdout,
    stderrBytes: totals.stderr,
    cursor,
    stdin: hasStdin ? stdin : null,
    isEndKnown: true,
    output: isEmpty ? null : output,
  }
}
