/** The calls that stream: run, attach, read, write; and their ways back after a loss. */

import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { GuestdError } from '../errors.ts'
import type { MediaType } from '../protocol/negotiate.ts'
import type { RunAccepted, StdinReply } from '../protocol/schemas.ts'
import type { Calls } from './calls.ts'
import type { ClientOptions, GuestdClient } from './client.ts'
import { followFrames } from './follow-frames.ts'
import { commandPath } from './http-request.ts'
import { writeInput } from './input.ts'
import { followEvents } from './read-events.ts'
import { createReconnectPolicy, type ReconnectPolicy } from './reconnect-policy.ts'
import { createRunningCommand } from './run.ts'
import { type Exchange, isLoss, type Transport } from './transport.ts'
import type { StartRequest, StdinWriter } from './types.ts'
import { createClosedStdin, createStdinWriter } from './write-stdin.ts'

/** Frames with raw bytes. */
const FRAMES: MediaType = 'application/vnd.amazon.eventstream'

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

export function createCommands(options: CommandsOptions): Commands {
  const { transport, calls } = options

  const newReconnectPolicy = (): ReconnectPolicy =>
    createReconnectPolicy({
      limitMs: options.reattachLimitMs,
      isProven: () => transport.proven,
      onLost: options.onLost,
    })

  const openOutput = (
    id: string,
    query: string,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
  ) =>
    transport.send({
      method: 'GET',
      path: commandPath(id, `/output?${query}`),
      accept: FRAMES,
      signal,
      timeoutMs,
    })

  const takeOver = (
    id: string,
    cursor: number,
    signal: AbortSignal | undefined,
    timeoutMs: number | undefined,
  ) => openOutput(id, `cursor=${cursor}&follow=true&hold=true`, signal, timeoutMs)

  const newStdin = (
    id: string,
    offset: () => Promise<number>,
    signal: AbortSignal | undefined,
  ): StdinWriter =>
    createStdinWriter({ transport, id, offset, reconnect: newReconnectPolicy(), signal })

  const acceptedBytes = async (id: string, signal: AbortSignal | undefined): Promise<number> => {
    const body = { type: 'application/octet-stream', bytes: '' }
    const path = commandPath(id, '/stdin')
    const exchange = { method: 'POST', path, body, signal, slow: true } as const
    const reply = await transport.json<StdinReply>(exchange)
    return reply.acceptedBytes
  }

  /**
   * The command whose frames `open` reads; the first connection is opened at once.
   *
   * @param stdinOffset where its input is to be continued; null: it was not asked to have one
   */
  const running = (
    id: string,
    cursor: number,
    stdinOffset: (() => Promise<number>) | null,
    signal: AbortSignal | undefined,
    open: (
      at: number,
      timeoutMs: number | undefined,
      isAccepted: boolean,
    ) => Promise<IncomingMessage>,
  ) => {
    const accepted = Promise.withResolvers<void>()
    let isAccepted = false
    const reconnect = newReconnectPolicy()
    const opened = async (at: number): Promise<IncomingMessage> => {
      const reply = await open(at, reconnect.attemptTimeoutMs(), isAccepted)
      isAccepted = true
      accepted.resolve()
      return reply
    }
    let first: Promise<IncomingMessage> | null = opened(cursor)
    first.catch(error => {
      if (!isLoss(error)) accepted.reject(error)
    })
    const frames = followFrames({
      at: transport.at,
      cursor,
      follow: true,
      reconnect,
      signal,
      open: async at => {
        const reply = first ?? opened(at)
        first = null
        return await reply
      },
    })
    const stdin =
      stdinOffset === null
        ? createClosedStdin()
        : newStdin(id, () => accepted.promise.then(stdinOffset), signal)
    const command = createRunningCommand({
      id,
      accepted,
      frames,
      stdin,
      kill: () => calls.kill(id),
      signal: (name, target) => calls.signal(id, name, target),
    })
    return [command, stdin] as const
  }

  return {
    run: ({ input, ...request }, { signal } = {}) => {
      const id = request.id ?? randomUUID()
      const giveUp = new AbortController()
      const either = signal === undefined ? giveUp.signal : AbortSignal.any([signal, giveUp.signal])
      const stdin = input === undefined ? request.stdin : 'open'
      const body = toBody({ ...request, ...(stdin && { stdin }), id }, false)
      const open = (cursor: number, timeoutMs: number | undefined, isAccepted: boolean) =>
        isAccepted
          ? takeOver(id, cursor, either, timeoutMs)
          : transport.send({
              method: 'POST',
              path: '/v1/commands',
              accept: FRAMES,
              body,
              signal: either,
              timeoutMs,
              repeatable: true,
            })
      const offset = stdin === 'open' ? async () => 0 : null
      const [command, writer] = running(id, 0, offset, either, open)
      if (input === undefined) return command
      writeInput(input, writer).catch(async error => {
        // Only an answer shows whether a command runs under this id, and whether it is this one.
        await command.accepted.catch(() => {})
        // No command shall work on half of its input. A caller who aborts has chosen `onDisconnect`.
        if (signal?.aborted !== true) command.kill().catch(() => {})
        giveUp.abort(error)
      })
      return command
    },
    start: async (request, { signal } = {}) => {
      const id = request.id ?? randomUUID()
      const body = toBody({ ...request, id }, true)
      const reconnect = newReconnectPolicy()
      for (;;) {
        try {
          const timeoutMs = reconnect.attemptTimeoutMs()
          const exchange = {
            method: 'POST',
            path: '/v1/commands',
            body,
            signal,
            timeoutMs,
            repeatable: true,
          } as const
          return await transport.json<RunAccepted>(exchange)
        } catch (error) {
          await reconnect.waitBeforeRetry(error, signal)
        }
      }
    },
    attach: (id, { cursor = 0, signal } = {}) => {
      const [command] = running(
        id,
        cursor,
        () => acceptedBytes(id, signal),
        signal,
        (at, timeoutMs) => takeOver(id, at, signal, timeoutMs),
      )
      return command
    },
    output: (id, { cursor = 0, follow = false, signal } = {}) => {
      const reconnect = newReconnectPolicy()
      return followFrames({
        at: transport.at,
        cursor,
        follow,
        reconnect,
        signal,
        open: at =>
          openOutput(id, `cursor=${at}&follow=${follow}`, signal, reconnect.attemptTimeoutMs()),
      })
    },
    events: (asked = {}) => followEvents(transport, newReconnectPolicy(), asked),
    stdin: (id, { signal } = {}) => newStdin(id, () => acceptedBytes(id, signal), signal),
  }
}

/** Made once, so that a repeated request has the same body to the byte. */
function toBody(request: StartRequest, detach: boolean): NonNullable<Exchange['body']> {
  if ('input' in request) {
    throw new GuestdError('invalid_request', 'input is what run() takes', { field: 'input' })
  }
  if ('detach' in request) {
    throw new GuestdError('invalid_request', 'detach is what start() does', { field: 'detach' })
  }
  const bytes = JSON.stringify(detach ? { ...request, detach } : request)
  return { type: 'application/json', bytes }
}
