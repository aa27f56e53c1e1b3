/** Reports the state of guestd to the service manager: sd_notify(3). */
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { firstOf } from '../util/cut-text.ts'
import { messageOf } from '../util/message-of.ts'
import { native } from './native.ts'

export interface Notifier {
  /** Whether there is a service manager. Without one no method does anything. */
  readonly present: boolean
  /**
   * Sends assignments such as `READY=1`. While the queue of the manager is full they are kept, only the latest value of
   * each name. Line breaks in a value become spaces.
   */
  send(assignments: Readonly<Record<string, string>>): void
  /**
   * Stores a duplicate of the descriptor in the manager, which passes it to guestd after a restart.
   *
   * @returns whether it was sent
   */
  storeFd(name: string, fd: number): boolean
  /** Makes the manager close the descriptor that was stored with the name. */
  dropFd(name: string): void
  /**
   * Resolves with true when the manager has processed everything sent before, or with false after `limitMs`
   * milliseconds. After {@link Notifier.dropFd} true means that the manager has closed the descriptor.
   */
  barrier(limitMs: number): Promise<boolean>
}

/**
 * @param address $NOTIFY_SOCKET; `null` without a manager
 * @param failed called with the first error, and never again
 */
export function createNotifier(address: string | null, failed: (errno: string) => void): Notifier {
  /** Opened now and kept, because the watchdog needs it also when no descriptor is free. */
  const socket = address === null ? null : openSocket(failed)
  let waiting: Readonly<Record<string, string>> = {}
  let retry: NodeJS.Timeout | undefined
  let hasFailed = false

  const reportFailure = (errno: string) => {
    if (!hasFailed) failed(errno)
    hasFailed = true
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
    if (errno !== null) reportFailure(errno)
    waiting = {}
  }

  const sendNow = (assignments: Readonly<Record<string, string>>, fds: readonly number[]) => {
    const errno = send(assignments, fds)
    if (errno !== null) reportFailure(errno)
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
      // FDPOLL=0: the manager cannot poll a file for hang-up.
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

/** Temporary errors: the queue of the manager is full, or the kernel is short of buffers. */
const FULL: readonly string[] = ['EAGAIN', 'ENOBUFS', 'ENOMEM']

/** Pause before the next attempt after a temporary error, in milliseconds. */
const RETRY_MS = 100

/** Longest value: a status is one line on a terminal. */
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

/** A line break would start another assignment. */
function oneLine(value: string): string {
  return firstOf(value.replace(/[\r\n\0]+/g, ' '), MAX_VALUE_CHARACTERS)
}

/** Whether the write end is closed within the limit. The manager closes it after it has read the message. */
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
