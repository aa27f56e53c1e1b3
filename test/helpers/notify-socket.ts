/** A service manager that records the notifications of guestd. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Teardown, until } from './guestd.ts'

export interface Notice {
  /** The assignments of the datagram. */
  readonly values: Readonly<Record<string, string>>
  /** Who sent it, as the kernel knows it. */
  readonly pid: number
  /** Of the descriptors that came along. */
  readonly inodes: readonly number[]
}

export interface NotifySocket {
  /** All that has been heard so far. */
  readonly notices: readonly Notice[]
  /** Waits for one that the condition takes, and gives it. */
  heard(condition: (notice: Notice) => boolean): Promise<Notice>
  /** To stop and go on. */
  readonly process: ChildProcess
}

const PROGRAM = join(import.meta.dirname, 'notify-socket.py')

/** @param address a path, or `@NAME` for an abstract one */
export async function openNotifySocket(t: Teardown, address: string): Promise<NotifySocket> {
  const child = spawn('python3', [PROGRAM, address], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const notices: Notice[] = []
  let listening = false
  createInterface({ input: child.stdout }).on('line', line => {
    const message = JSON.parse(line)
    if (message.listening === true) listening = true
    else
      notices.push({ values: assignments(message.text), pid: message.pid, inodes: message.inodes })
  })
  await until(() => listening)
  return {
    notices,
    process: child,
    async heard(condition) {
      await until(() => notices.some(condition), HEARD_LIMIT_MS)
      const notice = notices.find(condition)
      if (notice === undefined) throw new Error('what was heard is gone')
      return notice
    },
  }
}

/** Far above every interval at which guestd notifies. */
const HEARD_LIMIT_MS = 30_000

function assignments(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split('\n')
      .filter(line => line !== '')
      .map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}
