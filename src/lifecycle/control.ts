/** What the API may do with the session. */
import type { SessionControl } from '../api/api.ts'
import { GuestdError } from '../errors.ts'
import type { Workspace } from '../session/workspace.ts'
import type { HandOver } from './hand-over.ts'
import type { Stop } from './stop.ts'

/** @param stopped called once, after a stop that the API asked for first */
export function createControl(
  stop: Stop,
  workspace: Workspace,
  handOver: HandOver,
  stopped: () => Promise<void>,
): SessionControl {
  return {
    async flush() {
      if (stop.state === 'stopping')
        throw new GuestdError(
          'stopping',
          'guestd is stopping, and flushes the workspace as it does',
        )
      return await workspace.flush()
    },
    async handOver(request) {
      if (stop.state !== 'ready') throw new GuestdError(stop.state, `guestd is ${stop.state}`)
      await handOver.accept(request, workspace.bind)
    },
    top: workspace.top,
    stop() {
      if (stop.state === 'ready') void stop.run().then(stopped)
      return stop.follow()
    },
  }
}
