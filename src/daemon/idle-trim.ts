/** Releases memory after a period of work. */

export interface IdleTrim {
  /** Call it at the start and at the end of each piece of work, such as a command. */
  touch(): void
  stop(): void
}

/**
 * Period without work before memory is released, in milliseconds. A session that runs a command every few seconds keeps
 * its memory, because releasing and allocating it again costs more.
 */
const QUIET_MS = 30_000

export interface IdleTrimOptions {
  /** Called when no work has begun or ended for `quietMs`. */
  release(): void
  /** Called at each piece of work, and after a release while work goes on. */
  resume(): void
  /** Whether work goes on, such as a long command without output. */
  isBusy(): boolean
  /** In milliseconds. Default: 30,000. */
  readonly quietMs?: number
}

export function createIdleTrim(options: IdleTrimOptions): IdleTrim {
  const { release, resume, isBusy, quietMs = QUIET_MS } = options
  let timer: NodeJS.Timeout | undefined
  const quiet = () => {
    timer = undefined
    release()
    if (isBusy()) resume()
  }
  return {
    touch() {
      resume()
      timer ??= setTimeout(quiet, quietMs).unref()
      timer.refresh()
    },
    stop: () => clearTimeout(timer),
  }
}
