/**
 * Caches what is slow to build: images by a hash of their inputs, tools by version.
 */

import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { lock } from 'proper-lockfile'
import { prune } from './prune.ts'

/** A builder refreshes its lock at this interval; the lock of a dead builder is taken over after `LOCK_STALE_MS`. */
const LOCK_UPDATE_MS = 2_000
const LOCK_STALE_MS = 15_000
/** How often a second builder looks whether the first is done. */
const LOCK_POLL_MS = 500

export interface CacheEntry {
  /** What it is, the first part of the entry's name: `base`, `image`, … Older ones of a kind are pruned. */
  kind: string
  /** Hash of everything that the content depends on. */
  key: string
  /** Fills an empty folder; what it leaves there becomes the entry. */
  build: (folder: string) => Promise<void>
  /** Whether an existing entry is complete; an incomplete one is rebuilt. Default: true. */
  isWhole?: (folder: string) => Promise<boolean>
}

/** `$XDG_CACHE_HOME/guestd`, by default `~/.cache/guestd`. */
export function cacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME
  // The XDG base directory specification: a relative path is invalid and to be ignored.
  const usable = base !== undefined && path.isAbsolute(base)
  return path.join(usable ? base : path.join(homedir(), '.cache'), 'guestd')
}

/**
 * Returns an entry's folder, building it if needed. It is complete or absent. Of two concurrent callers one builds and
 * the other waits. Read-only.
 */
export async function cached({ kind, key, build, isWhole }: CacheEntry): Promise<string> {
  const folder = path.join(cacheFolder(), `${kind}-${key}`)
  const isUsable = async () => (await markUsed(folder)) && ((await isWhole?.(folder)) ?? true)
  if (await isUsable()) return folder
  await mkdir(cacheFolder(), { recursive: true })
  const release = await lock(folder, {
    realpath: false,
    lockfilePath: `${folder}.lock`,
    update: LOCK_UPDATE_MS,
    stale: LOCK_STALE_MS,
    retries: { forever: true, minTimeout: LOCK_POLL_MS, maxTimeout: LOCK_POLL_MS, unref: false },
    // Another builder that takes over the lock builds the same content; the later rename is ignored.
    onCompromised: () => {},
  })
  try {
    if (await isUsable()) return folder
    await rm(folder, { recursive: true, force: true })
    await buildAside(folder, build)
    await prune(cacheFolder(), kind, folder)
    return folder
  } finally {
    await release().catch(() => {})
  }
}

/** Whether the entry is there; notes the time, which keeps `prune` away from it. */
async function markUsed(folder: string): Promise<boolean> {
  const now = new Date()
  return utimes(folder, now, now).then(
    () => true,
    () => false,
  )
}

async function buildAside(folder: string, build: CacheEntry['build']): Promise<void> {
  const aside = `${folder}.tmp-${randomUUID()}`
  await mkdir(aside)
  try {
    await build(aside)
    await rename(aside, folder).catch(async error => {
      if (!(await stat(folder).catch(() => null))) throw error
    })
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}
