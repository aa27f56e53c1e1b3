/** Telling the service manager how guestd is: sd_notify(3). */
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { firstOf } from '../util/cut-text.ts'
import { messageOf } from '../util/message-of.ts'
import { native } from './native.ts'

export interface Notifier {
  /** Whether a manager listens. Without one nothing is sent, and all of this does nothing. */
  readonly present: boolean
  /**
   * Sends assignments such as `READY=1`. While the manager's queue is full they wait, the later value
   * of a name in the place of the earlier one. Line breaks in a value become spaces.
   */
  send(assignments: Readonly<Record<string, string>>): void
  /**
   * Leaves a duplicate of the descriptor with the manager, to come back after a restart of guestd.
   *
   * @returns whether it was sent
   */
  storeFd(name: string, fd: number): boolean
  /** Has the manager close what was stored under the name. */
  dropFd(name: string): void
  /**
   * Resolves once the manager has dealt with all that was sent before; false when `limitMs` passes
   * first. After {@link Notifier.dropFd} it tells that the manager no longer holds the descriptor.
   */
  barrier(limitMs: number): Promise<boolean>
}

/**
 * @param address $NOTIFY_SOCKET, or null: there is no manager
 * @param failed told the first error, once: later ones say the same
 */
export function createNotifier(address: string | null, failed: (errno: string) => void): Notifier {
  /** Made before descriptors can run out, and kept: a watchdog must be fed then, too. */
  const socket = address === null ? null : openSocket(failed)
  let waiting: Readonly<Record<string, string>> = {}
  let retry: NodeJS.Timeout | undefined
  let complained = false

  const complain = (errno: string) => {
    if (!complained) failed(errno)
    complained = true
  }

  const send = (assignments: Readonly<Record<string, string>>, fds: readonly number[] = []) => {
    if (address === null || socket === null) return 'ENOTCONN'
    return native.notifySend(socket, address, datagramOf(assignments), fds)
  }

  const flush = () => {
    clearTimeout(retry)
    const errno = send(waiting)
    if (errno !== null && FULL.includes(errno)) {
      retry = setTimeout(flush, RETRY_MS).unref()
      return
    }
    if (errno !== null) complain(errno)
    waiting = {}
  }

  const sendNow = (assignments: Readonly<Record<string, string>>, fds: readonly number[]) => {
    const errno = send(assignments, fds)
    if (errno !== null) complain(errno)
    return errno === null
  }

  return {
    present: socket !== null,
    send(assignments) {
      if (socket === null) return
      waiting = { ...waiting, ...assignments }
      flush()
    },
    storeFd: (name, fd) =>
      // FDPOLL=0: a descriptor of a file has nothing that could be polled for its end.
      socket !== null && sendNow({ FDSTORE: '1', FDNAME: name, FDPOLL: '0' }, [fd]),
    dropFd(name) {
      if (socket !== null) sendNow({ FDSTOREREMOVE: '1', FDNAME: name }, [])
    },
    async barrier(limitMs) {
      if (socket === null) return false
      const [read, write] = native.pipe(0)
      const sent = sendNow({ BARRIER: '1' }, [write])
      closeSync(write)
      return (await closedWithin(read, limitMs)) && sent
    },
  }
}

/** The queue of the manager is full, or the kernel short of buffers: it passes. */
const FULL: readonly string[] = ['EAGAIN', 'ENOBUFS', 'ENOMEM']

/** How often a full queue is tried again, in milliseconds. */
const RETRY_MS = 100

/** Longest value that is sent: a status is one line on a terminal. */
const MAX_VALUE_CHARACTERS = 512

function openSocket(failed: (errno: string) => void): number | null {
  try {
    return native.notifySocket()
  } catch (error) {
    failed(messageOf(error))
    return null
  }
}

function datagramOf(assignments: Readonly<Record<string, string>>): string {
  return Object.entries(assignments)
    .map(([name, value]) => `${name}=${oneLine(value)}\n`)
    .join('')
}

/** A line break would begin an assignment of the value's own. */
function oneLine(value: string): string {
  return firstOf(value.replace(/[\r\n\0]+/g, ' '), MAX_VALUE_CHARACTERS)
}

/** The manager closes its end once it has read the message; the read end of the pipe tells. */
async function closedWithin(fd: number, limitMs: number): Promise<boolean> {
  const closed = Promise.withResolvers<boolean>()
  const socket = new Socket({ fd, readable: true, writable: false })
  const timer = setTimeout(() => closed.resolve(false), limitMs)
  socket
    .on('end', () => closed.resolve(true))
    .on('error', () => closed.resolve(false))
    .resume()
  const result = await closed.promise
  clearTimeout(timer)
  socket.destroy()
  return result
}
