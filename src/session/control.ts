/** The operations on the session that the API offers. */
import { GuestdError } from '../errors.ts'
import type {
  ClearedTemporary,
  Receipt,
  SessionRequest,
  StopFrame,
  WorkspaceLargest,
} from '../protocol/schemas.ts'
import { memoryPlaces } from '../sys/commands-memory.ts'
import type { Workspace } from '../workspace/workspace.ts'
import type { Assigned, SessionAssignment } from './assign-session.ts'
import type { TemporaryFiles } from './clear-temporary.ts'
import type { Stop } from './stop.ts'

export interface SessionControl {
  /** @throws GuestdError `session_set`, `session_mismatch`, `stopping` */
  assignSession(request: SessionRequest): Promise<void>
  /** @throws GuestdError `workspace_unavailable`, `stopping` */
  flush(): Promise<Receipt>
  /** @throws GuestdError `busy` while a process of a command is left, or another call runs */
  clearTemporary(): Promise<ClearedTemporary>
  /** @throws GuestdError `workspace_unavailable` */
  largest(count: number): Promise<WorkspaceLargest>
  /** Starts the stop, or joins it. Yields all of its steps, then the receipt. */
  stop(): AsyncIterable<StopFrame>
  /**
   * Forgets a stop that is over, and ends guestd. Its service manager starts it again.
   *
   * @returns false if the session is not stopped: then nothing happens
   * @throws GuestdError `stopping`
   */
  start(): boolean
}

export interface ControlOptions {
  readonly stop: Stop
  readonly workspace: Workspace
  readonly assignment: SessionAssignment
  readonly temporary: Pick<TemporaryFiles, 'clear'>
  /** Throws a GuestdError if guestd cannot serve a session with this request. */
  readonly check: (request: SessionRequest) => void
  /** Called with the time of the host, before the workspace is mounted. */
  readonly hostTime: (text: string) => void
  /** Called after the session was set or renewed. */
  readonly sessionAssigned: (request: SessionRequest, assigned: NonNullable<Assigned>) => void
  /** Called once, after a stop that the API began. */
  readonly afterStop: () => Promise<void>
  /** Forgets the stop and ends guestd, to be started again. */
  readonly restart: () => void
}

export function createControl(options: ControlOptions): SessionControl {
  const { stop, workspace, assignment, check, sessionAssigned, afterStop, restart } = options
  return {
    async flush() {
      if (stop.state === 'stopping')
        throw new GuestdError('stopping', 'guestd is stopping: the stop flushes the workspace')
      return await workspace.flush()
    },
    async assignSession(request) {
      if (stop.state !== 'ready') throw new GuestdError(stop.state, `guestd is ${stop.state}`)
      check(request)
      const { hostTime, ...session } = request
      if (hostTime !== undefined) options.hostTime(hostTime)
      const assigned = await assignment.assignSession(session, workspace.bind)
      if (assigned !== null) sessionAssigned(session, assigned)
    },
    clearTemporary: options.temporary.clear,
    largest: async count => ({ ...(await workspace.largest(count)), memory: memoryPlaces() }),
    stop() {
      if (stop.state === 'ready') void stop.run('request').then(afterStop)
      return stop.follow()
    },
    start() {
      if (stop.state === 'stopping') throw new GuestdError('stopping', 'guestd is stopping')
      if (stop.state === 'ready') return false
      restart()
      return true
    },
  }
}
