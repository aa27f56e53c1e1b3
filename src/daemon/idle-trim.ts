/** Gives back what a time of work has left behind, once it is over. */

export interface IdleTrim {
  /** To be called at the start and at the end of each piece of work, such as a command. */
  touch(): void
  stop(): void
}

/**
 * After so long without work, in milliseconds. A session that runs a command every few seconds keeps its
 * memory: to give it back and to take it again would cost more.
 */
const QUIET_MS = 30_000

export interface IdleTrimOptions {
  /** Called after `quietMs` in which no work began or ended. */
  release(): void
  /** Called with each piece of work, and after a release while something still runs. */
  resume(): void
  /** Something still runs, such as a long command without output. */
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
