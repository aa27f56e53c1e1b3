/** Pipes of commands. A command can open `/dev/stderr` of a pipe; with a socket pair that fails. */
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { native } from './native.ts'

/** Capacity of each pipe (pipe(7); the default is 64 KiB). A large one needs fewer switches between writer and guestd. */
const PIPE_BYTES = 256 * 1024

/** A pipe that guestd reads. The launch takes `childEnd` and closes it. */
export function outputPipe(): { readonly ourEnd: number; readonly childEnd: number } {
  const [ourEnd, childEnd] = native.pipe(PIPE_BYTES)
  return { ourEnd, childEnd }
}

/** A pipe that guestd writes. The launch takes `childEnd` and closes it. */
export function inputPipe(): { readonly ourEnd: Socket; readonly childEnd: number } {
  const [childEnd, fd] = native.pipe(0)
  return { ourEnd: new Socket({ fd, readable: false, writable: true }), childEnd }
}

/** Closes an end that was not passed to a launch. */
export function closeFd(fd: number): void {
  closeSync(fd)
}

export interface PipeReader {
  pause(): void
  resume(): void
  /** Number of bytes in the pipe now. */
  pending(): number
  /**
   * Reads at most `bytes` at once, also while it is paused. Calls `end` when the pipe is empty and every write end is
   * closed. Returns the number of bytes that it has read, which is lower when another process reads the pipe too.
   */
  drain(bytes: number): number
  /** Closes the read end: from now on a writer gets SIGPIPE. */
  destroy(): void
}

export interface PipeEvents {
  /** Returns the buffer for the next read. */
  readonly buffer: () => Uint8Array
  /** `length` bytes were read into the latest buffer. */
  readonly data: (length: number) => void
  /** The last call: every write end is closed, reading has failed, or the reader was destroyed. */
  readonly end: () => void
}

/**
 * Reads a pipe into buffers of the caller, without an allocation for each read. It starts at once, and makes the first
 * call after it has returned.
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
