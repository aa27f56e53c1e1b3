/** Forwards Ctrl-C and other signals to the command in the guest. */

import { GuestdError, type RunningCommand } from '../client/index.ts'
import type { Context } from './command-spec.ts'
import { bySignal } from './exit-code.ts'
import { errorText } from './report-error.ts'

/** The signals with which a terminal, a shell or a service manager ends a program. */
export const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

/** guestctl exits without waiting for the end of the command. */
export class GivenUp extends Error {
  override readonly name = 'GivenUp'
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super(`ended by ${signal}`)
    this.exitCode = bySignal(signal)
  }
}

/** guestctl exits at this signal, counted over all kinds, without waiting for the guest. */
const LAST_SIGNAL = 3

/**
 * Forwards each signal to the command's process group. The second SIGINT kills the command. The third signal of
 * any kind ends the wait, for a guest that no longer answers. Signals that were ignored when guestctl was started
 * stay ignored.
 *
 * @returns a function that stops the forwarding
 */
export function forwardSignals(
  command: RunningCommand,
  giveUp: AbortController,
  { say, ignored }: Pick<Context, 'say' | 'ignored'>,
): () => void {
  const signals = forwarded.filter(signal => !ignored.includes(signal))
  let interrupts = 0
  let received = 0

  const act = (signal: NodeJS.Signals): Promise<unknown> => {
    received += 1
    if (signal === 'SIGINT') interrupts += 1
    if (received >= LAST_SIGNAL) giveUp.abort(new GivenUp(signal))
    return signal === 'SIGINT' && interrupts > 1 ? command.kill() : command.signal(signal)
  }
  const onSignal = (signal: NodeJS.Signals) => {
    act(signal).catch(error => {
      const isOver = error instanceof GuestdError && overCodes.has(error.code)
      if (!isOver && !giveUp.signal.aborted) void say(errorText(error, 'run'))
    })
  }

  for (const signal of signals) process.on(signal, onSignal)
  return () => {
    for (const signal of signals) process.off(signal, onSignal)
  }
}

/** The command ended before the signal arrived. */
const overCodes: ReadonlySet<string> = new Set(['command_ended', 'command_not_found'])
