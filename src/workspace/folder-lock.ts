/** The lock of a folder: one guestd has it, the others are told which one. */
import { readFileSync, readlinkSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { lockFile } from '../sys/file-lock.ts'
import { lockPlace } from '../sys/lock-place.ts'
import { processStat } from '../sys/process-group.ts'

export interface FolderLock {
  /** Never fails. */
  release(): Promise<void>
}

/**
 * A lock whose holder cannot be looked at, as in another pid namespace, is left once it was not touched for
 * this long. Its holder touches it every 5 s.
 */
const STALE_MS = 10_000
/** Guards the taking itself, some milliseconds each. */
const GUARD = 'guard'
const GUARD_ATTEMPTS = 50
const GUARD_WAIT_MS = 20
/** For the folder that holds the locks of all. */
const MODE = 0o600

/** Names one process for good, within its pid namespace. */
interface Holder {
  readonly pid: number
  readonly startTime: number | null
  readonly pidNamespace: string
}

/**
 * Takes it at once after the end of its holder, however that ended; while the holder lives it keeps it,
 * even where it hangs.
 *
 * @param key names the folder, whatever path leads to it
 * @param lost called when somebody took the lock away
 * @throws Error with the pid of who has it
 */
export async function lockFolder(key: string, lost: (reason: Error) => void): Promise<FolderLock> {
  const { lock } = await import('./proper-lockfile.ts')
  const place = lockPlace(process.geteuid?.() ?? 0)
  const name = join(place, key)
  const [lockfilePath, holderPath] = [`${name}.lock`, `${name}.json`]
  const guard = await takeGuard(join(place, GUARD))
  try {
    const holder = readHolder(holderPath)
    if (holder !== null && isHere(holder)) {
      if (isAlive(holder)) throw new Error(inUse(holder))
      removeFolder(lockfilePath)
    }
    const release = await lock(name, {
      realpath: false,
      lockfilePath,
      stale: STALE_MS,
      onCompromised: lost,
    }).catch(error => {
      throw codeOf(error) === 'ELOCKED' ? new Error(inUse(holder)) : error
    })
    const giveBack = async () => {
      removeFile(holderPath)
      // One that was lost is not there any more.
      await release().catch(() => {})
    }
    try {
      writeFileSync(holderPath, JSON.stringify(ourselves()), { mode: MODE })
    } catch (error) {
      // Else it would be kept, and touched, in nobody's name.
      await giveBack()
      throw error
    }
    return { release: giveBack }
  } finally {
    guard.release()
  }
}

/** Two that find the same dead holder must not both clear it away. */
async function takeGuard(path: string): Promise<{ release(): void }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return lockFile(path)
    } catch (error) {
      if (attempt === GUARD_ATTEMPTS) throw error
      await sleep(GUARD_WAIT_MS)
    }
  }
}

function ourselves(): Holder {
  const { pid } = process
  return { pid, startTime: processStat(pid)?.startTime ?? null, pidNamespace: pidNamespace() }
}

/** `null`: nobody, or nobody knows. */
function readHolder(path: string): Holder | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}

function isHere(holder: Holder): boolean {
  return holder.pidNamespace === pidNamespace()
}

/** One of ours that was lost is taken again. */
function isAlive({ pid, startTime }: Holder): boolean {
  const stat = pid === process.pid ? null : processStat(pid)
  return stat !== null && stat.startTime === startTime && !['Z', 'X'].includes(stat.state)
}

function inUse(holder: Holder | null): string {
  return `another guestd has it: ${holder === null ? 'its pid is not known' : `pid ${holder.pid}`}`
}

function pidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid')
}

function removeFolder(path: string): void {
  try {
    rmdirSync(path)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

/** One that stays names a process that is no holder any more. */
function removeFile(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {}
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
