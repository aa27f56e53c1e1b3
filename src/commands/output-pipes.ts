/** The pipes of a command's output: made before the launch, read into the log, closed at the end. */
import type { StreamName } from '../protocol/frames.ts'
import { outputPipe, type PipeReader, readPipe } from '../sys/pipes.ts'
import { readPending } from './drain-pipes.ts'
import { createIntake } from './intake.ts'
import type { OutputLog } from './output-log.ts'

export interface OutputPipes {
  /** Those that are read; emptied once all are closed. */
  readonly readers: readonly PipeReader[]
  /** Makes a pipe for a stream. Returns the end for the process. */
  open(stream: StreamName): number
  /** Begins to read the pipes. */
  read(): void
  pause(): void
  resume(): void
  /** Closes our ends. `closed` follows. */
  close(): void
  /** Reads what the pipes hold now and closes them: no process may write to them any more. Idempotent. */
  finish(): void
}

export interface OutputPipesOptions {
  readonly log: OutputLog
  /** Whether the blocks of the log are large enough to be read into. */
  readonly readsDirectly: boolean
  /** Called after bytes have entered the log. */
  readonly entered: () => void
  /** Called when every pipe has reached its end or is closed. */
  readonly closed: () => void
}

export function createOutputPipes(options: OutputPipesOptions): OutputPipes {
  const { log, readsDirectly, entered, closed } = options
  const readers: PipeReader[] = []
  /** Our ends of pipes that are not read yet. */
  const unread = new Map<StreamName, number>()
  let openCount = 0
  let isFinishing = false

  const allEnded = () => {
    readers.length = 0
    closed()
  }

  const read = () => {
    for (const [stream, ourEnd] of unread) {
      const intake = createIntake(log, stream, readsDirectly, entered)
      const end = () => {
        intake.end()
        openCount -= 1
        if (openCount === 0) allEnded()
      }
      readers.push(readPipe(ourEnd, { buffer: intake.buffer, data: intake.data, end }))
    }
    unread.clear()
  }

  const close = () => {
    read()
    for (const reader of readers) reader.destroy()
    if (openCount === 0) allEnded()
  }

  return {
    readers,
    open(stream) {
      const { ourEnd, childEnd } = outputPipe()
      openCount += 1
      unread.set(stream, ourEnd)
      return childEnd
    },
    read,
    pause() {
      for (const reader of readers) reader.pause()
    },
    resume() {
      for (const reader of readers) reader.resume()
    },
    close,
    finish() {
      if (isFinishing || openCount === 0) return
      isFinishing = true
      void readPending(readers).then(close)
    },
  }
}
