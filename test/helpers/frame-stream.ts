/** The frames of a reply, pulled one by one: the rest waits in the socket, as with a slow reader. */
import { createHash, type Hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Guestd, WireFrame } from './guestd.ts'

const NEWLINE = 0x0a

export interface FrameStream {
  readonly status: number
  /** Cursor of the last whole frame; 0 before the first. */
  readonly cursor: number
  /** The next whole frame; `null` once the stream is over or cut. */
  next(): Promise<WireFrame | null>
  /** Frames up to and including the first of this type. */
  upTo(type: string): Promise<WireFrame[]>
  /** Frames until this text has been seen on stdout. */
  seen(text: string): Promise<WireFrame[]>
  /** All that is left. */
  rest(): Promise<WireFrame[]>
  /** Destroys the connection, as when a reader dies. */
  cut(): void
}

export async function openRun(guestd: Guestd, body: object): Promise<FrameStream> {
  return frameStream(await guestd.open('POST', '/v1/commands', { body }))
}

/** @param query such as `cursor=0&follow=true` */
export async function openOutput(guestd: Guestd, id: string, query = ''): Promise<FrameStream> {
  return frameStream(await guestd.open('GET', `/v1/commands/${id}/output?${query}`))
}

/** @param cutAfterBytes the connection is destroyed once so many bytes of the body have been taken */
export function frameStream(
  reply: IncomingMessage,
  cutAfterBytes = Number.POSITIVE_INFINITY,
): FrameStream {
  const lines = wholeLines(reply, cutAfterBytes)
  let cursor = 0

  const next = async () => {
    const { value, done } = await lines.next()
    if (done) return null
    const frame: WireFrame = JSON.parse(value)
    cursor = frame.cursor
    return frame
  }

  const collect = async (isLast: (frame: WireFrame) => boolean) => {
    const frames: WireFrame[] = []
    for (let frame = await next(); frame !== null; frame = await next()) {
      frames.push(frame)
      if (isLast(frame)) break
    }
    return frames
  }

  return {
    status: reply.statusCode ?? 0,
    get cursor() {
      return cursor
    },
    next,
    upTo: type => collect(frame => frame.type === type),
    seen(text) {
      let stdout = ''
      return collect(frame => {
        if (frame.stream === 'stdout') stdout += String(frame.text)
        return stdout.includes(text)
      })
    },
    rest: () => collect(() => false),
    cut: () => void reply.destroy(),
  }
}

async function* wholeLines(reply: IncomingMessage, cutAfterBytes: number) {
  let kept: Buffer[] = []
  let taken = 0
  try {
    for await (const received of reply) {
      const chunk: Buffer = received.subarray(0, cutAfterBytes - taken)
      taken += chunk.length
      let at = 0
      for (let to = chunk.indexOf(NEWLINE); to >= 0; to = chunk.indexOf(NEWLINE, at)) {
        yield Buffer.concat([...kept, chunk.subarray(at, to)]).toString('utf8')
        kept = []
        at = to + 1
      }
      if (at < chunk.length) kept.push(chunk.subarray(at))
      if (taken >= cutAfterBytes) return
    }
  } catch {
    // Cut: what came whole has been handed on.
  } finally {
    reply.destroy()
  }
}

/** The bytes of an output frame. */
export function outputBytes(frame: WireFrame): Buffer {
  return typeof frame.text === 'string'
    ? Buffer.from(frame.text, 'utf8')
    : Buffer.from(String(frame.base64), 'base64')
}

export interface Tally {
  add(frame: WireFrame): void
  bytes(stream: string): number
  sha256(stream: string): string
  readonly gaps: number
  /** Frames whose cursor is not the one before plus their bytes. */
  readonly misplaced: number
}

/** Adds the output of one reader up without keeping it, and checks that each byte comes once. */
export function createTally(from = 0): Tally {
  const hashes = new Map<string, Hash>()
  const counts = new Map<string, number>()
  let cursor = from
  let gaps = 0
  let misplaced = 0
  return {
    add(frame) {
      if (frame.type === 'gap') {
        gaps += 1
        cursor = frame.cursor
      }
      if (frame.type !== 'output') return
      const stream = String(frame.stream)
      const bytes = outputBytes(frame)
      if (frame.cursor !== cursor + bytes.length) misplaced += 1
      cursor = frame.cursor
      const hash = hashes.get(stream) ?? createHash('sha256')
      hashes.set(stream, hash.update(bytes))
      counts.set(stream, (counts.get(stream) ?? 0) + bytes.length)
    },
    bytes: stream => counts.get(stream) ?? 0,
    sha256: stream => (hashes.get(stream) ?? createHash('sha256')).copy().digest('hex'),
    get gaps() {
      return gaps
    },
    get misplaced() {
      return misplaced
    },
  }
}

/** Reads all that is left into a tally, and returns the frames that are not output. */
export async function tallyRest(stream: FrameStream, tally: Tally): Promise<WireFrame[]> {
  const others: WireFrame[] = []
  for (let frame = await stream.next(); frame !== null; frame = await stream.next()) {
    if (frame.type === 'output') tally.add(frame)
    else {
      tally.add(frame)
      others.push(frame)
    }
  }
  return others
}
