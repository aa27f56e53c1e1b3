/**
 * A guestd of a few lines that runs nothing: commands whose output is given, so that the client
 * meets every reply it has to live with.
 */

import http from 'node:http'
import type { AddressInfo, ListenOptions } from 'node:net'
import { exitFacts } from '../../src/commands/exit-facts.ts'
import { asGuestdError, GuestdError } from '../../src/errors.ts'
import { encodeEventStream } from '../../src/protocol/event-stream-encode.ts'
import type { EndFrame, ExitFrame, Frame, StartFrame } from '../../src/protocol/frames.ts'
import { toProblem } from '../../src/protocol/problem.ts'

export interface FakeCommand {
  readonly id: string
  readonly body: string
  /** What was written to its standard input. */
  stdin: Buffer
  stdinEnded: boolean
}

export interface FakeGuestOptions {
  readonly listen: ListenOptions
  /** All of the output of every command; bytes go to stdout and stderr in turns. */
  readonly output?: Buffer
  /** Bytes before this are no longer held by `GET …/output`. */
  readonly heldFrom?: number
  /** Answers a request in place of the fake; false: leaves it to the fake. */
  readonly intercept?: (request: http.IncomingMessage, response: http.ServerResponse) => boolean
  /** Where given, the frames in place of the output and the end. */
  readonly frames?: readonly Frame[]
}

export interface FakeGuest {
  readonly commands: Map<string, FakeCommand>
  /** `METHOD path` of each request. */
  readonly requests: string[]
  /** Bytes handed to response streams so far. */
  readonly writtenBytes: number
  readonly openStreams: number
  readonly port: number
  close(): Promise<void>
}

/** Bytes of one output frame of the fake. */
const FRAME_BYTES = 1024

export async function startFakeGuest(options: FakeGuestOptions): Promise<FakeGuest> {
  const commands = new Map<string, FakeCommand>()
  const requests: string[] = []
  let writtenBytes = 0
  let openStreams = 0

  const sendFrames = async (
    response: http.ServerResponse,
    command: FakeCommand,
    cursor: number,
  ): Promise<void> => {
    response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' })
    openStreams += 1
    response.once('close', () => {
      openStreams -= 1
    })
    for (const frame of options.frames ?? framesOf(command.id, options, cursor)) {
      const message = Buffer.concat(encodeEventStream(frame))
      writtenBytes += message.length
      if (response.destroyed) return
      if (!response.write(message)) await drained(response)
    }
    response.end()
  }

  const handle = async (
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> => {
    const url = new URL(request.url ?? '', 'http://guest')
    const [, , , id = '', action = ''] = url.pathname.split('/')
    const body = await bodyOf(request)
    if (request.method === 'POST' && url.pathname === '/v1/commands') {
      const asked: { id: string; detach?: boolean } = JSON.parse(body.toString())
      const known = commands.get(asked.id)
      if (known && known.body !== body.toString()) throw new GuestdError('id_conflict', asked.id)
      const made = {
        id: asked.id,
        body: body.toString(),
        stdin: Buffer.alloc(0),
        stdinEnded: false,
      }
      const command = known ?? made
      commands.set(asked.id, command)
      if (asked.detach) return sendJson(response, 202, { id: asked.id })
      return await sendFrames(response, command, 0)
    }
    const command = commands.get(id)
    if (command === undefined) throw new GuestdError('command_not_found', `no command ${id}`)
    if (action === 'output') {
      return await sendFrames(response, command, Number(url.searchParams.get('cursor') ?? 0))
    }
    if (action === 'stdin') {
      const offset = Number(url.searchParams.get('offset') ?? command.stdin.length)
      const fresh = body.subarray(Math.max(0, command.stdin.length - offset))
      command.stdin = Buffer.concat([command.stdin, fresh])
      command.stdinEnded ||= url.searchParams.get('eof') === 'true'
      return sendJson(response, 200, { acceptedBytes: command.stdin.length })
    }
    throw new GuestdError('not_found', `no route ${request.method} ${url.pathname}`)
  }

  const server = http.createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    response.setHeader('guestd-version', '0.1.0')
    if (options.intercept?.(request, response)) return
    handle(request, response).catch((error: unknown) => {
      const problem = toProblem(asGuestdError(error))
      if (response.headersSent) response.destroy()
      else sendJson(response, problem.status, problem)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject)
    server.listen(options.listen, resolve)
  })

  return {
    commands,
    requests,
    get writtenBytes() {
      return writtenBytes
    },
    get openStreams() {
      return openStreams
    },
    get port() {
      return (server.address() as AddressInfo).port
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

export function startFrame(id: string, cursor: number): StartFrame {
  const startedAt = '2026-01-01T00:00:00.000Z'
  return { type: 'start', id, pid: 42, startedAt, cwd: '/', user: 'agent', cursor }
}

export function exitFrame(cursor: number, facts: Partial<ExitFrame> = {}): ExitFrame {
  const known = exitFacts({ cause: 'exit', exitCode: 0, durationMs: 1, cpuMs: 1 })
  return { type: 'exit', ...known, cursor, ...facts }
}

export function endFrame(cursor: number, facts: Partial<EndFrame> = {}): EndFrame {
  return {
    type: 'end',
    stdoutBytes: cursor,
    stderrBytes: 0,
    truncated: 0,
    descendants: 0,
    cursor,
    ...facts,
  }
}

function* framesOf(id: string, options: FakeGuestOptions, from: number): Generator<Frame> {
  const output = options.output ?? Buffer.alloc(0)
  let cursor = from
  yield startFrame(id, cursor)
  const held = options.heldFrom ?? 0
  if (from > 0 && cursor < held) {
    yield { type: 'gap', from: cursor, to: held, cursor: held }
    cursor = held
  }
  while (cursor < output.length) {
    const turn = Math.floor(cursor / FRAME_BYTES)
    const bytes = output.subarray(cursor, (turn + 1) * FRAME_BYTES)
    cursor += bytes.length
    yield { type: 'output', stream: turn % 2 === 0 ? 'stdout' : 'stderr', cursor, bytes }
  }
  yield exitFrame(cursor)
  yield endFrame(cursor)
}

async function bodyOf(request: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function sendJson(response: http.ServerResponse, status: number, body: object): void {
  const type = status < 400 ? 'application/json' : 'application/problem+json'
  response.writeHead(status, { 'content-type': type })
  response.end(JSON.stringify(body))
}

function drained(response: http.ServerResponse): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}
