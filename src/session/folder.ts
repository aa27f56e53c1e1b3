/** The workspace as a plain folder: made when it is missing, looked at when somebody asks. */
import { chownSync, closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs'
import type { Log } from '../log.ts'
import type { Receipt, WorkspaceInfo } from '../protocol/schemas.ts'
import { findUser } from '../sys/users.ts'
import type { Tell } from './events.ts'
import { createFlusher } from './flusher.ts'
import { doStep } from './steps.ts'
import { readTop, TOP_LIMIT_MS } from './top.ts'
import { unavailable } from './unavailable.ts'
import type { Workspace } from './workspace.ts'

export interface FolderSettings {
  readonly path: string
  readonly user: string | number | null
  readonly flushLimitMs: number
}

/**
 * Makes a missing folder in one that is there, owned by the user that commands run as. What exists
 * is left as it is.
 */
export function openFolder(
  { path, user, flushLimitMs }: FolderSettings,
  log: Log,
  tell: Tell,
): Workspace {
  prepare(path, user, () => log.warn({ path }, 'the workspace was missing, and has been made'))
  const first = stateOf(path)
  if (first.reason !== null) {
    log.error({ ...first }, 'the workspace is not there')
    tell({ type: 'workspace_unavailable', reason: first.reason })
  }

  const flush = async (): Promise<Receipt> => {
    const { reason } = stateOf(path)
    if (reason !== null) throw unavailable(reason)
    const began = performance.now()
    const fd = openSync(path, 'r')
    try {
      const flusher = createFlusher({ fd, limitMs: flushLimitMs, everyMs: 0, log, tell })
      const flushed = await flusher.flush()
      return receiptOf(Math.round(performance.now() - began), flushed, flusher.errors)
    } finally {
      closeSync(fd)
    }
  }

  return {
    path,
    state: () => stateOf(path),
    // What is wrong with the folder is seen by the launch itself.
    admit: () => {},
    async top(count) {
      const { reason } = stateOf(path)
      if (reason !== null) throw unavailable(reason)
      return await readTop(path, { count, limitMs: TOP_LIMIT_MS })
    },
    bind: async () => {},
    history: () => null,
    fullSince: () => null,
    flush,
    async end(report) {
      const errors: string[] = []
      const receipt = await doStep('flush', report, errors, flush)
      return receipt ?? { ...receiptOf(0, { dirtyBytes: 0, flushMs: 0 }, errors), how: 'none' }
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

function stateOf(path: string): WorkspaceInfo {
  const told = (reason: string | null): WorkspaceInfo => ({
    path,
    ok: reason === null,
    reason,
    device: null,
    rung: 'none',
    enforcedFor: 'nobody',
    usage: null,
  })
  try {
    return told(statSync(path).isDirectory() ? null : `${path} is not a directory`)
  } catch (error) {
    return told(error instanceof Error ? error.message : String(error))
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
    how: 'flush',
    dirtyBytes,
    flushMs,
    ms,
    errorsSince: 'flush',
    errors: [...errors],
    heldBy: null,
    clean: errors.length === 0,
  }
}
