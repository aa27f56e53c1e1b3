/** Removes the SysV shared memory, queues and semaphores that commands leave behind. */
import { readFileSync } from 'node:fs'
import type { Log } from '../log.ts'
import { runHelper } from '../sys/helper.ts'
import { findUser } from '../sys/users.ts'

export interface IpcCleaner {
  /** A command was launched as this user. */
  started(user: string): void
  /** No process of a command is left. */
  settled(): void
  stop(): void
}

/** Period without commands before objects are removed, in milliseconds: the next command may use them. */
const QUIET_MS = 2_000
const HELPER_LIMIT_MS = 10_000
/** Most users that are remembered: a request may name any user. */
const MOST_USERS = 64
const LISTS = ['shm', 'msg', 'sem'].map(name => `/proc/sysvipc/${name}`)

/** @param isBusy whether a process of a command is left */
export function createIpcCleaner(isBusy: () => boolean, log: Log): IpcCleaner {
  const users = new Set<string>()
  let timer: NodeJS.Timeout | undefined

  const clean = async () => {
    timer = undefined
    if (isBusy()) return
    const uids = uidsOf(users).filter(uid => uid !== 0)
    users.clear()
    if (!hasAny(uids)) return
    try {
      const printed = await runHelper('ipc', uids.map(String), { limitMs: HELPER_LIMIT_MS })
      const removed = Number(printed.toString())
      if (removed > 0) log.info({ removed }, 'SysV objects that commands had left are removed')
    } catch (err) {
      log.warn({ err }, 'SysV objects that commands have left could not be removed')
    }
  }

  return {
    started(user) {
      if (users.size < MOST_USERS) users.add(user)
    },
    settled() {
      timer ??= setTimeout(() => void clean(), QUIET_MS).unref()
      timer.refresh()
    },
    stop: () => clearTimeout(timer),
  }
}

function uidsOf(users: ReadonlySet<string>): number[] {
  return [...users].flatMap(user => {
    try {
      return [findUser(user).uid]
    } catch {
      return []
    }
  })
}

/** The kernel lists the objects in tables with a column `uid`: proc(5). */
function hasAny(uids: readonly number[]): boolean {
  return LISTS.some(path => {
    const [head = '', ...lines] = readText(path).trim().split('\n')
    const column = head.trim().split(/\s+/).indexOf('uid')
    return lines.some(line => uids.includes(Number(line.trim().split(/\s+/)[column])))
  })
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
