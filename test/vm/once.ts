/** Requests to a guest that nothing repeats: each over a connection of its own, once. */

import { request } from 'node:http'
import type { Socket } from 'node:net'
import { dial } from '../../src/client/dial.ts'
import { ConnectError, parseAddress } from '../../src/client/index.ts'
import { bytesOf, parseFrames, type WireFrame } from '../helpers/guestd.ts'

/** A guest's kernel answers at once, on a busy host after seconds. */
const DIAL_LIMIT_MS = 60_000
/** One knock: a guest that has not taken up its device yet says nothing at all. */
const KNOCK_DIAL_LIMIT_MS = 5_000
/** How often a port is knocked on. */
const KNOCK_EVERY_MS = 50
/** Above a boot on a busy host. */
const KNOCK_LIMIT_MS = 300_000

export interface Answer {
  readonly status: number
  readonly frames: WireFrame[]
  readonly stdout: string
  readonly exit: WireFrame | undefined
}

/**
 * A connection that the guest's kernel accepted, whether or not it is served yet.
 * @throws ConnectError where no process listens
 */
export function openConnection(connect: string, limitMs = DIAL_LIMIT_MS): Promise<Socket> {
  return dial(parseAddress(connect), limitMs)
}

/** Runs a command over this connection. @throws Error when it is cut before all frames are there */
export async function runOver(socket: Socket, body: object): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const text = JSON.stringify(body)
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
  }
  const call = { method: 'POST', path: '/v1/commands', headers, createConnection: () => socket }
  request(call, async reply => {
    try {
      const chunks: Buffer[] = []
      for await (const chunk of reply) chunks.push(chunk)
      resolve(answerOf(reply.statusCode ?? 0, Buffer.concat(chunks).toString()))
    } catch (error) {
      reject(error)
    }
  })
    .once('error', reject)
    .end(text)
  return await promise
}

/** Runs a command over a connection of its own. */
export async function runOnce(connect: string, body: object): Promise<Answer> {
  return await runOver(await openConnection(connect), body)
}

/** Knocks until the guest's kernel accepts, as a host does that does not know how far a boot is. */
export async function knock(connect: string): Promise<{ socket: Socket; refused: number }> {
  const deadline = performance.now() + KNOCK_LIMIT_MS
  for (let refused = 0; ; refused += 1) {
    try {
      return { socket: await openConnection(connect, KNOCK_DIAL_LIMIT_MS), refused }
    } catch (error) {
      if (!(error instanceof ConnectError) || performance.now() > deadline) throw error
    }
    await new Promise(resolve => setTimeout(resolve, KNOCK_EVERY_MS))
  }
}

function answerOf(status: number, text: string): Answer {
  const frames = status === 200 ? parseFrames(text) : []
  return {
    status,
    frames,
    stdout: bytesOf(frames, 'stdout').toString(),
    exit: frames.find(({ type }) => type === 'exit'),
  }
}
