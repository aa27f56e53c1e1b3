/** The lock of a folder. One guestd has it; the others get its pid. */
import { readFileSync, readlinkSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { lockFile } from '../sys/file-lock.ts'
import { lockPlace } from '../sys/lock-place.ts'
import { processStat } from '../sys/process-group.ts'
import { errorCode } from '../util/error-code.ts'
import { sleep } from '../util/sleep.ts'

export interface FolderLock {
  /** Never fails. */
  release(): Promise<void>
}

/**
 * A lock whose holder cannot be seen, as in another pid namespace, is free if it was not touched for this long, in
 * milliseconds. Its holder touches it every 5 s.
 */
const STALE_MS = 10_000
/** A lock for the time of taking the lock, which is some milliseconds. */
const GUARD = 'guard'
const GUARD_ATTEMPTS = 50
const GUARD_WAIT_MS = 20
/** The folder may hold the locks of other users. */
const MODE = 0o600

/** Identifies one process within its pid namespace, even after its pid is used again. */
interface Holder {
  readonly pid: number
  readonly startTime: number | null
  readonly pidNamespace: string
}

/**
 * Takes the lock if its holder has ended, for any reason. A holder that hangs keeps it.
 *
 * @param key identifies the folder, whatever path leads to it
 * @param lost called when the lock is removed by another process
 * @throws Error with the pid of the holder
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
      throw errorCode(error) === 'ELOCKED' ? new Error(inUse(holder)) : error
    })
    const giveBack = async () => {
      removeFile(holderPath)
      // A lost lock does not exist any more.
      await release().catch(() => {})
    }
    try {
      writeFileSync(holderPath, JSON.stringify(ourselves()), { mode: MODE })
    } catch (error) {
      // Otherwise the lock would stay without the name of its holder.
      await giveBack()
      throw error
    }
    return { release: giveBack }
  } finally {
    guard.release()
  }
}

/** Prevents that two processes remove the lock of the same dead holder. */
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

/** `null`: there is none, or it cannot be read. */
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

/** A lost lock of this process may be taken again. */
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
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

/** A file that stays is harmless: its process is not a holder any more. */
function removeFile(path: string): void {
  try {
    rmSync(path, { force: true })
  } catch {}
}
