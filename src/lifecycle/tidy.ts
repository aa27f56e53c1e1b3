/** Gives back what a time of work has left behind, once it is over. */

export interface Tidying {
  /** To be called at each end of something, such as a command. */
  worked(): void
  stop(): void
}

/**
 * After so long without work, in milliseconds. A session that runs a command every few seconds keeps its
 * memory: to give it back and to take it again would cost more.
 */
const QUIET_MS = 30_000

/**
 * @param release called after 30 s without work
 * @param resume called when there is work again after that, until it returns true
 */
export function createTidying(release: () => void, resume: () => boolean): Tidying {
  let timer: NodeJS.Timeout | undefined
  let isReleased = false
  const quiet = () => {
    timer = undefined
    isReleased = true
    release()
  }
  return {
    worked() {
      if (isReleased) isReleased = !resume()
      timer ??= setTimeout(quiet, QUIET_MS).unref()
      timer.refresh()
    },
    stop: () => clearTimeout(timer),
  }
}
