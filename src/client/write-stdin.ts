/** Writes a command's standard input in pieces. guestd acknowledges each by its offset, so none is written twice. */

import { GuestdError } from '../errors.ts'
import type { StdinReply } from '../protocol/schemas.ts'
import type { ReconnectPolicy } from './reconnect-policy.ts'
import type { Transport } from './transport.ts'
import type { StdinWriter } from './types.ts'

/**
 * Largest body of one request, and most that waits for the next request, in bytes. A piece is held until guestd
 * acknowledges it, so a writer holds at most twice as much: one piece is sent while the next one fills.
 */
const PIECE_BYTES = 256 * 1024

export interface StdinOptions {
  readonly transport: Transport
  readonly id: string
  /** Where this writer begins, in bytes of the command's input. */
  readonly offset: () => Promise<number>
  readonly reconnect: ReconnectPolicy
  readonly signal: AbortSignal | undefined
}

export function createStdinWriter(options: StdinOptions): StdinWriter {
  let queue: Uint8Array[] = []
  let queuedBytes = 0
  let offset: number | null = null
  let eof: 'open' | 'asked' | 'sent' = 'open'
  let pumping = false
  let failure: { readonly error: unknown } | null = null
  let changed = Promise.withResolvers<void>()
  /** The last call. Each call waits for the one before it. */
  let last: Promise<void> = Promise.resolve()

  const change = () => {
    changed.resolve()
    changed = Promise.withResolvers()
  }

  const pump = async (): Promise<void> => {
    if (pumping || failure !== null) return
    pumping = true
    try {
      offset ??= await options.offset()
      while (queuedBytes > 0 || eof === 'asked') {
        const piece = queue.length === 1 && queue[0] ? queue[0] : Buffer.concat(queue)
        const isLast = eof === 'asked'
        queue = []
        queuedBytes = 0
        change()
        offset = await sendPiece(options, offset, piece, isLast)
        if (isLast) eof = 'sent'
      }
    } catch (error) {
      failure = { error }
    }
    pumping = false
    change()
  }

  const append = async (bytes: Uint8Array): Promise<void> => {
    for (let rest = bytes; rest.length > 0; ) {
      if (failure !== null) throw failure.error
      if (queuedBytes === PIECE_BYTES) {
        await changed.promise
        continue
      }
      const part = rest.subarray(0, PIECE_BYTES - queuedBytes)
      rest = rest.subarray(part.length)
      queue.push(part)
      queuedBytes += part.length
      void pump()
    }
  }

  const finish = async (): Promise<void> => {
    if (eof === 'open') eof = 'asked'
    void pump()
    while (eof !== 'sent' && failure === null) await changed.promise
    if (failure !== null) throw failure.error
  }

  const inOrder = (step: () => Promise<void>): Promise<void> => {
    const done = last.then(step)
    last = done.catch(() => {})
    return done
  }

  return {
    write: async chunk => {
      if (eof !== 'open') throw new Error('the standard input has been ended')
      await inOrder(() => append(typeof chunk === 'string' ? Buffer.from(chunk) : chunk))
    },
    end: () => inOrder(finish),
    get acceptedBytes() {
      return offset ?? 0
    },
  }
}

/** The standard input of a command without `stdin: 'open'`. */
export function createClosedStdin(): StdinWriter {
  const refuse = async (): Promise<never> => {
    throw new GuestdError('stdin_closed', "the command was run without stdin: 'open'")
  }
  return { write: refuse, end: refuse, acceptedBytes: 0 }
}

/** Resolves with the offset after the piece, when guestd has acknowledged all of it. */
async function sendPiece(
  { transport, id, reconnect, signal }: StdinOptions,
  offset: number,
  piece: Uint8Array,
  eof: boolean,
): Promise<number> {
  const end = offset + piece.length
  let from = offset
  for (;;) {
    try {
      const { acceptedBytes } = await transport.json<StdinReply>({
        method: 'POST',
        path: `/v1/commands/${encodeURIComponent(id)}/stdin?offset=${from}&eof=${eof}`,
        body: { type: 'application/octet-stream', bytes: piece.subarray(from - offset) },
        signal,
        slow: true,
        repeatable: true,
        timeoutMs: reconnect.attemptTimeoutMs(),
      })
      reconnect.reset()
      if (acceptedBytes >= end) return end
      from = Math.max(from, acceptedBytes)
    } catch (error) {
      await reconnect.waitBeforeRetry(error, signal)
    }
  }
}
