/** The calls that stream: they run commands, read them and write to them, and reconnect after a loss. */

import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { RunAccepted } from '../protocol/schemas.ts'
import type { Calls } from './calls.ts'
import { type CommandRequests, createCommandRequests, encodeRequest } from './command-requests.ts'
import { openCommandStream } from './command-stream.ts'
import { followFrames } from './follow-frames.ts'
import { writeInput } from './input.ts'
import { followEvents } from './read-events.ts'
import { createReconnectPolicy, type ReconnectPolicy } from './reconnect-policy.ts'
import { createRunningCommand } from './run.ts'
import type { Transport } from './transport.ts'
import type {
  ClientOptions,
  GuestdClient,
  RunningCommand,
  RunRequest,
  StartRequest,
  StdinWriter,
} from './types.ts'
import { createClosedStdin, createStdinWriter } from './write-stdin.ts'

export type Commands = Pick<
  GuestdClient,
  'run' | 'start' | 'attach' | 'output' | 'stdin' | 'events'
>

export interface CommandsOptions {
  readonly transport: Transport
  readonly calls: Calls
  readonly reattachLimitMs: number
  readonly onLost: ClientOptions['onLost'] | undefined
}

/** What the calls below share. */
interface Parts {
  readonly transport: Transport
  readonly calls: Calls
  readonly requests: CommandRequests
  /** Each stream has its own. */
  newReconnectPolicy(): ReconnectPolicy
}

export function createCommands(options: CommandsOptions): Commands {
  const { transport, calls, reattachLimitMs, onLost } = options
  const requests = createCommandRequests(transport)
  const newReconnectPolicy = () =>
    createReconnectPolicy({
      limitMs: reattachLimitMs,
      isProven: () => transport.proven,
      onLost,
    })
  const parts = { transport, calls, requests, newReconnectPolicy }
  return {
    run: (request, { signal } = {}) => run(parts, request, signal),
    start: async (request, { signal } = {}) => await start(parts, request, signal),
    attach: (id, { cursor = 0, signal } = {}) => attach(parts, id, cursor, signal),
    output: (id, { cursor = 0, follow = false, signal } = {}) => {
      const reconnect = newReconnectPolicy()
      const open = (from: number) => {
        const attempt = { signal, timeoutMs: reconnect.attemptTimeoutMs() }
        return requests.output(id, { cursor: from, follow }, attempt)
      }
      return followFrames({ at: transport.at, cursor, follow, reconnect, signal, open })
    },
    events: (asked = {}) => followEvents(transport, newReconnectPolicy(), asked),
    stdin: (id, { signal } = {}) =>
      openStdin(parts, id, () => requests.acceptedStdinBytes(id, signal), signal),
  }
}

function run(
  parts: Parts,
  { input, ...request }: RunRequest,
  signal: AbortSignal | undefined,
): RunningCommand {
  const { requests } = parts
  const id = request.id ?? randomUUID()
  const inputFailed = new AbortController()
  const either =
    signal === undefined ? inputFailed.signal : AbortSignal.any([signal, inputFailed.signal])
  const stdin = input === undefined ? request.stdin : 'open'
  const body = encodeRequest({ ...request, ...(stdin && { stdin }), id }, false)
  const { command, stdinWriter } = openCommand(parts, {
    id,
    cursor: 0,
    stdinOffset: stdin === 'open' ? async () => 0 : null,
    signal: either,
    open: (cursor, timeoutMs, isAccepted) => {
      const attempt = { signal: either, timeoutMs }
      return isAccepted
        ? requests.output(id, { cursor, follow: true, hold: true }, attempt)
        : requests.run(body, attempt)
    },
  })
  if (input === undefined) return command
  writeInput(input, stdinWriter).catch(async error => {
    // Only the reply shows whether the command with this id runs, and is this one.
    await command.accepted.catch(() => {})
    // A command must not work on part of its input. For a caller that aborts, `onDisconnect` decides.
    if (signal?.aborted !== true) command.kill().catch(() => {})
    inputFailed.abort(error)
  })
  return command
}

async function start(
  { requests, newReconnectPolicy }: Parts,
  request: StartRequest,
  signal: AbortSignal | undefined,
): Promise<RunAccepted> {
  const id = request.id ?? randomUUID()
  const body = encodeRequest({ ...request, id }, true)
  const reconnect = newReconnectPolicy()
  for (;;) {
    try {
      return await requests.start(body, { signal, timeoutMs: reconnect.attemptTimeoutMs() })
    } catch (error) {
      await reconnect.waitBeforeRetry(error, signal)
    }
  }
}

function attach(
  parts: Parts,
  id: string,
  cursor: number,
  signal: AbortSignal | undefined,
): RunningCommand {
  const { requests } = parts
  return openCommand(parts, {
    id,
    cursor,
    stdinOffset: () => requests.acceptedStdinBytes(id, signal),
    signal,
    open: (from, timeoutMs) =>
      requests.output(id, { cursor: from, follow: true, hold: true }, { signal, timeoutMs }),
  }).command
}

interface OpenOptions {
  readonly id: string
  readonly cursor: number
  /** Where the standard input continues, in bytes; null: the request has no `stdin: 'open'`. */
  readonly stdinOffset: (() => Promise<number>) | null
  readonly signal: AbortSignal | undefined
  open(cursor: number, timeoutMs: number | undefined, isAccepted: boolean): Promise<IncomingMessage>
}

function openCommand(parts: Parts, { id, cursor, stdinOffset, signal, open }: OpenOptions) {
  const { transport, calls } = parts
  const reconnect = parts.newReconnectPolicy()
  const { accepted, frames } = openCommandStream({
    at: transport.at,
    cursor,
    signal,
    reconnect,
    open,
  })
  const stdinWriter =
    stdinOffset === null
      ? createClosedStdin()
      : openStdin(parts, id, () => accepted.promise.then(stdinOffset), signal)
  const command = createRunningCommand({
    id,
    accepted,
    frames,
    stdin: stdinWriter,
    kill: () => calls.kill(id),
    signal: (name, target) => calls.signal(id, name, target),
  })
  return { command, stdinWriter }
}

function openStdin(
  { transport, newReconnectPolicy }: Parts,
  id: string,
  offset: () => Promise<number>,
  signal: AbortSignal | undefined,
): StdinWriter {
  return createStdinWriter({ transport, id, offset, reconnect: newReconnectPolicy(), signal })
}
