/** A signal to the processes of a command. */
import { GuestdError } from '../errors.ts'
import type { SignalTarget } from '../protocol/schemas.ts'
import { type LaunchedProcess, signalNumber } from '../sys/launch.ts'
import { signalGroup } from '../sys/process-group.ts'
import type { Containment } from './containment.ts'

export interface SignalReceiver {
  readonly id: string
  readonly containment: Containment
  /** `null` until the launch, and once it has exited. */
  readonly process: LaunchedProcess | null
}

/** @throws GuestdError `command_ended`, `signal_not_allowed`, `internal`; `invalid_request` for an unknown name */
export function signalCommand(
  { id, containment, process }: SignalReceiver,
  name: string,
  target: SignalTarget,
): void {
  const number = signalNumber(name)
  if (number === null)
    throw new GuestdError('invalid_request', `there is no signal ${name}`, { field: 'signal' })
  if (target === 'cgroup' && !containment.isEmpty()) {
    const result = containment.signalAll(number)
    if (result === 'denied' || result === 'unreached') throw notSent(name, result)
    return
  }
  // An empty cgroup may be that of a process that was moved out of it.
  const toProcess = () => process?.signal(number)
  const toGroup = () => (process === null ? undefined : signalGroup(process.pid, number))
  const result = target === 'process' ? toProcess() : toGroup()
  if (result === 'denied' || result === 'unreached') throw notSent(name, result)
  if (result !== 'sent') throw new GuestdError('command_ended', `the command ${id} has ended`)
}

function notSent(name: string, result: 'denied' | 'unreached'): GuestdError {
  return result === 'denied'
    ? new GuestdError('signal_not_allowed', `guestd may not send ${name} to all processes`)
    : new GuestdError(
        'internal',
        `${name} did not reach all processes: no file descriptor was free`,
      )
}
