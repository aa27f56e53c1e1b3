/** Real pipes: `/dev/stderr` can be opened again in the command, which a socket pair refuses. */
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { native } from './native.ts'

/** Capacity asked for each pipe (pipe(7); the default is 64 KiB): fewer switches between writer and guestd. */
const PIPE_BYTES = 256 * 1024

/** A pipe whose read end is ours. `childEnd` goes to the launch, which closes it. */
export function outputPipe(): { readonly ourEnd: number; readonly childEnd: number } {
  const [ourEnd, childEnd] = native.pipe(PIPE_BYTES)
  return { ourEnd, childEnd }
}

/** A pipe whose write end is ours. */
export function inputPipe(): { readonly ourEnd: Socket; readonly childEnd: number } {
  const [childEnd, fd] = native.pipe(0)
  return { ourEnd: new Socket({ fd, readable: false, writable: true }), childEnd }
}

/** Closes an end that no launch has taken. */
export function closeFd(fd: number): void {
  closeSync(fd)
}

export interface PipeReader {
  pause(): void
  resume(): void
  /** Bytes that are in the pipe now. */
  pending(): number
  /**
   * Reads at most so many of them now, also while it is paused; calls `end` if that is all and every write end is
   * closed. Returns how many bytes it read: fewer than there were when another process reads the pipe too.
   */
  drain(bytes: number): number
  /** Closes the read end: a writer gets SIGPIPE from now on. */
  destroy(): void
}

export interface PipeEvents {
  /** The buffer that the next read may fill. */
  readonly buffer: () => Uint8Array
  /** `length` bytes were read into the buffer last given. */
  readonly data: (length: number) => void
  /** The last call: every write end is closed, it cannot be read, or it was destroyed. */
  readonly end: () => void
}

/**
 * Reads a pipe into buffers that the caller owns: no allocation for each read. Begins at once, but calls nothing
 * before it has returned.
 */
export function readPipe(fd: number, events: PipeEvents): PipeReader {
  const reader = native.readPipe(fd, events.buffer, length => {
    if (length >= 0) events.data(length)
    else events.end()
  })
  return {
    pause: () => native.pausePipe(reader, true),
    resume: () => native.pausePipe(reader, false),
    pending: () => native.pendingBytes(reader),
    drain: bytes => native.drainPipe(reader, bytes),
    destroy: () => native.closePipe(reader),
  }
}
