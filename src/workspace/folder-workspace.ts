/** The workspace as a plain folder. It is created if it is missing, and inspected at each request. */
import { chownSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs'
import type { Emit } from '../events/event-log.ts'
import { doStep, type StepFailure, stepFailureText } from '../events/steps.ts'
import type { Log } from '../log.ts'
import type { Receipt } from '../protocol/schemas.ts'
import { findUser } from '../sys/users.ts'
import { messageOf } from '../util/message-of.ts'
import { sleep } from '../util/sleep.ts'
import { isBelow, unavailable } from '../volume/unavailable.ts'
import { findLargest, LARGEST_LIMIT_MS } from './find-largest.ts'
import { createFlusher } from './flusher.ts'
import { type FolderLease, keepFolder } from './folder-lease.ts'
import { type FolderUsage, watchFolderUsage } from './folder-usage.ts'
import { newReceipt } from './new-receipt.ts'
import type { Workspace } from './types.ts'

export interface FolderSettings {
  readonly path: string
  readonly user: string | number | null
  /** Limit of a flush, in milliseconds. */
  readonly flushLimitMs: number
  /** Cap of the folder, in bytes; 0: none. */
  readonly capBytes: number
}

/** To give the lock of the folder back, in milliseconds. A lock that is not given back ends with guestd. */
const UNLOCK_LIMIT_MS = 2_000

/**
 * Creates a missing folder, owned by the user that commands run as; its parent has to exist. Resolves once the folder is
 * locked, or is known to be another guestd's. Then guestd tries again every 2 s.
 */
export async function openFolder(
  settings: FolderSettings,
  log: Log,
  emit: Emit,
): Promise<Workspace> {
  const { path, user, capBytes } = settings
  create(path, user, log)
  /** The last event says that the workspace is not available. */
  let isUnavailable = false
  const refused = (reason: string) => {
    isUnavailable = true
    emit({ type: 'workspace_unavailable', reason })
  }
  let usage: FolderUsage | null = null
  const taken = () => {
    if (capBytes > 0) usage ??= watchFolderUsage(path, capBytes, log, emit)
    if (isUnavailable) emit({ type: 'workspace_mounted', device: null, generation: null })
    isUnavailable = false
  }

  const missing = problemOf(path)
  if (missing !== null) {
    log.error({ path, reason: missing }, 'the workspace is not there')
    refused(missing)
  }
  const lease = keepFolder(path, { taken, refused }, log)
  await lease.attempted
  return workspaceOf(settings, lease, () => usage, log, emit)
}

function workspaceOf(
  settings: FolderSettings,
  lease: FolderLease,
  usage: () => FolderUsage | null,
  log: Log,
  emit: Emit,
): Workspace {
  const { path, flushLimitMs, capBytes } = settings
  const reason = () => problemOf(path) ?? lease.reason
  const absent = (why: string) => unavailable(`the workspace ${path}: ${why}`)
  /** @throws GuestdError `workspace_unavailable` */
  const check = () => {
    const why = reason()
    if (why !== null) throw absent(why)
  }
  const flush = async (): Promise<Receipt> => {
    check()
    return await flushFolder(settings, log, emit)
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
        usage: why === null ? (usage()?.usage ?? null) : null,
      }
    },
    code: () => (reason() === null ? null : 'workspace_unavailable'),
    // A problem of the folder itself is found by the launch.
    admit(cwd) {
      if (lease.reason !== null && isBelow(cwd, path) && problemOf(path) === null)
        throw absent(lease.reason)
    },
    room: async () => await usage()?.room(),
    async largest(count) {
      check()
      return await findLargest(path, { fd: null, count, limitMs: LARGEST_LIMIT_MS })
    },
    bind: async () => {},
    history: () => null,
    fullSince: time => usage()?.fullSince(time) ?? null,
    flush,
    async end(report) {
      const failures: StepFailure[] = []
      usage()?.stop()
      const receipt = await doStep('flush', report, failures, flush)
      await Promise.race([lease.release(), sleep(UNLOCK_LIMIT_MS, { ref: false })])
      return receipt ?? receiptOf('none', failures.map(stepFailureText))
    },
    endsWithinMs: flushLimitMs + UNLOCK_LIMIT_MS,
  }
}

async function flushFolder(
  { path, flushLimitMs: limitMs }: FolderSettings,
  log: Log,
  emit: Emit,
): Promise<Receipt> {
  const began = performance.now()
  const fd = openSync(path, 'r')
  try {
    const flusher = createFlusher({ fd, limitMs, everyMs: 0, log, emit })
    const { dirtyBytes, flushMs } = await flusher.flush()
    const ms = Math.round(performance.now() - began)
    return { ...receiptOf('flush', flusher.errors), dirtyBytes, flushMs, ms }
  } finally {
    closeSync(fd)
  }
}

/** Logs that it was missing: a volume that is not mounted looks the same. */
function create(path: string, user: string | number | null, log: Log): void {
  try {
    if (existsSync(path)) return
    mkdirSync(path)
    log.warn({ path }, 'the workspace was missing and has been created')
    if (user === null) return
    const { uid, gid } = findUser(user)
    chownSync(path, uid, gid)
  } catch {
    // The state of the workspace says what is wrong.
  }
}

/** Why it is not a usable folder; `null`: it is. */
function problemOf(path: string): string | null {
  try {
    return statSync(path).isDirectory() ? null : `${path} is not a directory`
  } catch (error) {
    return messageOf(error)
  }
}

function receiptOf(outcome: Receipt['outcome'], errors: readonly string[]): Receipt {
  return newReceipt({ generation: null, device: null, errorsSince: 'flush', outcome }, errors)
}
