/** The workspace as a plain folder: made when it is missing, looked at when somebody asks. */
import { chownSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs'
import type { Emit } from '../events/event-log.ts'
import { doStep } from '../events/steps.ts'
import type { Log } from '../log.ts'
import type { Receipt } from '../protocol/schemas.ts'
import { findUser } from '../sys/users.ts'
import { messageOf } from '../util/message-of.ts'
import { isBelow, unavailable } from '../volume/unavailable.ts'
import { createFlusher } from './flusher.ts'
import { holdFolder } from './folder-lease.ts'
import { type FolderUsage, watchFolderUsage } from './folder-usage.ts'
import { readTop, TOP_LIMIT_MS } from './largest.ts'
import type { Workspace } from './workspace.ts'

export interface FolderSettings {
  readonly path: string
  readonly user: string | number | null
  readonly flushLimitMs: number
  /** 0: none. */
  readonly capBytes: number
}

/**
 * Makes a missing folder in one that is there, owned by the user that commands run as. What exists
 * is left as it is. Resolves once it is ours, or is known to be another guestd's, which is looked at again
 * and again.
 */
export async function openFolder(
  settings: FolderSettings,
  log: Log,
  emit: Emit,
): Promise<Workspace> {
  const { path, user, flushLimitMs, capBytes } = settings
  prepare(path, user, () => log.warn({ path }, 'the workspace was missing, and has been made'))
  /** Whoever follows the events believes that it is not there. */
  let isToldMissing = false
  const refused = (reason: string) => {
    isToldMissing = true
    emit({ type: 'workspace_unavailable', reason })
  }
  let usage: FolderUsage | null = null
  const taken = () => {
    if (capBytes > 0) usage ??= watchFolderUsage(path, capBytes, log, emit)
    if (isToldMissing) emit({ type: 'workspace_mounted', device: null, generation: null })
    isToldMissing = false
  }

  const missing = reasonOf(path)
  if (missing !== null) {
    log.error({ path, reason: missing }, 'the workspace is not there')
    refused(missing)
  }
  const hold = holdFolder(path, { taken, refused }, log)
  await hold.attempted

  const reason = () => reasonOf(path) ?? hold.reason
  const absent = (why: string) => unavailable(`the workspace ${path}: ${why}`)
  /** @throws GuestdError `workspace_unavailable` */
  const check = () => {
    const why = reason()
    if (why !== null) throw absent(why)
  }

  const flush = async (): Promise<Receipt> => {
    check()
    const began = performance.now()
    const fd = openSync(path, 'r')
    try {
      const flusher = createFlusher({ fd, limitMs: flushLimitMs, everyMs: 0, log, emit })
      const flushed = await flusher.flush()
      return receiptOf(Math.round(performance.now() - began), flushed, flusher.errors)
    } finally {
      closeSync(fd)
    }
  }

  return {
    path,
    state() {
      const why = reason()
      return {
        path,
        ok: why === null,
        reason: why,
        device: null,
        sessionId: null,
        capEnforcement: capBytes > 0 ? 'advisory' : 'none',
        enforcedFor: 'none',
        usage: why === null ? (usage?.usage ?? null) : null,
      }
    },
    code: () => (reason() === null ? null : 'workspace_unavailable'),
    // What is wrong with the folder is seen by the launch itself.
    admit(cwd) {
      if (hold.reason !== null && isBelow(cwd, path) && reasonOf(path) === null)
        throw absent(hold.reason)
    },
    room: async () => await usage?.room(),
    async largest(count) {
      check()
      return await readTop(path, { fd: null, count, limitMs: TOP_LIMIT_MS })
    },
    bind: async () => {},
    history: () => null,
    fullSince: time => usage?.fullSince(time) ?? null,
    flush,
    async end(report) {
      const errors: string[] = []
      usage?.stop()
      const receipt = await doStep('flush', report, errors, flush)
      await hold.release()
      return receipt ?? { ...receiptOf(0, { dirtyBytes: 0, flushMs: 0 }, errors), outcome: 'none' }
    },
    endsWithinMs: flushLimitMs,
  }
}

/** @param made told when it was missing: a volume that was not mounted looks the same */
function prepare(path: string, user: string | number | null, made: () => void): void {
  try {
    if (existsSync(path)) return
    mkdirSync(path)
    made()
    if (user === null) return
    const { uid, gid } = findUser(user)
    chownSync(path, uid, gid)
  } catch {
    // What is wrong is told by the state, to whoever asks.
  }
}

/** Why there is no folder; `null`: there is one. */
function reasonOf(path: string): string | null {
  try {
    return statSync(path).isDirectory() ? null : `${path} is not a directory`
  } catch (error) {
    return messageOf(error)
  }
}

function receiptOf(
  ms: number,
  { dirtyBytes, flushMs }: { readonly dirtyBytes: number; readonly flushMs: number },
  errors: readonly string[],
): Receipt {
  return {
    at: new Date().toISOString(),
    generation: null,
    device: null,
    outcome: 'flush',
    dirtyBytes,
    flushMs,
    ms,
    errorsSince: 'flush',
    errors: [...errors],
    heldBy: null,
    clean: errors.length === 0,
  }
}
