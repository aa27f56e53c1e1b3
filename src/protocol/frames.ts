/**
 * Frames: the stream of events of one command, in memory.
 *
 * A command's output is one log with one cursor, a byte position over both streams. Every frame carries the cursor
 * after it. A reader that lost its connection asks for the rest with its last cursor, and gets each byte once.
 */

import type {
  EndFrame,
  ErrorFrame,
  ExitFrame,
  GapFrame,
  KeepaliveFrame,
  StartFrame,
  StreamName,
} from './schemas.ts'

export type {
  Cause,
  EndFacts,
  EndFrame,
  ErrorFrame,
  ExitFacts,
  ExitFrame,
  GapFrame,
  KeepaliveFrame,
  StartFrame,
  StreamName,
} from './schemas.ts'

/** Output of a command. In memory it has raw bytes; its JSON has `text` or `base64` instead. */
export interface OutputFrame {
  readonly type: 'output'
  readonly stream: StreamName
  /** Position in the output after these bytes. */
  readonly cursor: number
  readonly bytes: Uint8Array
}

/** A frame other than `output`: the same in memory and in JSON. */
export type PlainFrame = StartFrame | GapFrame | ExitFrame | EndFrame | KeepaliveFrame | ErrorFrame

export type Frame = PlainFrame | OutputFrame
