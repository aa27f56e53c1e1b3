/**
 * Frames: what a command's life looks like from outside.
 *
 * A command's output is one ordered log with one cursor, a byte position over both streams. Every
 * frame carries the cursor *after* it, so a reader that lost its connection asks for the rest with
 * the last cursor it saw, and gets each byte once.
 */

/** Why a command ended. The first cause wins. */
export const causes = [
  'exit',
  'signal',
  'timeout',
  'oom',
  'quota',
  'killed',
  'stopped',
  'disconnected',
  'spawn',
  'lost',
] as const
export type Cause = (typeof causes)[number]

/** `tty` carries a terminal's one stream. */
export const streams = ['stdout', 'stderr', 'tty'] as const
export type Stream = (typeof streams)[number]

export interface StartFrame {
  readonly type: 'start'
  readonly id: string
  /** Process id in the guest; `null` when nothing was launched. */
  readonly pid: number | null
  /** ISO 8601, UTC. */
  readonly startedAt: string
  readonly cwd: string
  readonly user: string
  readonly cursor: number
}

/** The in-memory form: raw bytes. JSON encodings turn them into `text` or `base64`. */
export interface OutputFrame {
  readonly type: 'output'
  readonly stream: Stream
  readonly cursor: number
  readonly bytes: Uint8Array
}

/** The bytes from `from` up to `to` are no longer held. Never silent. */
export interface GapFrame {
  readonly type: 'gap'
  readonly from: number
  readonly to: number
  readonly cursor: number
}

/** What is known when the process exits; pipes may still hold output. */
export interface ExitFacts {
  /** `null` when a signal ended the process, or nothing ran. */
  readonly exitCode: number | null
  /** `"SIGKILL"`, or `null`. */
  readonly signal: string | null
  readonly cause: Cause
  /** With cause `spawn`: the step that failed, such as `chdir` or `exec`. */
  readonly stage: string | null
  /** With cause `spawn`: the name of the error, such as `ENOENT`. */
  readonly errno: string | null
  /** With stage `exec` and `ENOENT`: the interpreter that the program names, where that is what is missing. */
  readonly interpreter: string | null
  /** With cause `oom`: whose memory ran out, that of the command's own limit or of the machine. */
  readonly oomScope: 'command' | 'machine' | null
  /** The workspace was seen full while the command ran. */
  readonly workspaceFull: 'bytes' | 'inodes' | null
  readonly durationMs: number
  /** User and system time of the process and the children that it waited for; `null` unknown. */
  readonly cpuMs: number | null
  /** Most memory that it used at once; `null` where that is not known (docs/frames.md). */
  readonly maxRssBytes: number | null
}

export interface ExitFrame extends ExitFacts {
  readonly type: 'exit'
  readonly cursor: number
}

export interface EndFacts {
  readonly stdoutBytes: number
  readonly stderrBytes: number
  /** Bytes of this stream of frames that were lost to gaps. */
  readonly truncated: number
  /** Processes still alive in the command's cgroup. */
  readonly descendants: number
}

export interface EndFrame extends EndFacts {
  readonly type: 'end'
  readonly cursor: number
}

/** Sent after 15 s of silence. */
export interface KeepaliveFrame {
  readonly type: 'keepalive'
  readonly at: string
  readonly cursor: number
}

/** The daemon's own failure, never mixed with the command's. */
export interface ErrorFrame {
  readonly type: 'error'
  readonly code: string
  readonly message: string
}

export type Frame =
  | StartFrame
  | OutputFrame
  | GapFrame
  | ExitFrame
  | EndFrame
  | KeepaliveFrame
  | ErrorFrame
