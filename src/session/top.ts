/** Who takes the space: the largest folders, and files that are deleted but still open. */
import { closeSync, openSync, realpathSync } from 'node:fs'
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorkspaceTop } from '../protocol/schemas.ts'
import { runHelper } from '../sys/helper.ts'
import { createMountIds, deviceOf } from '../sys/mount-ids.ts'
import { isBelow } from './unavailable.ts'

export interface TopOptions {
  /** Open on the root of a file system that all belongs to the workspace; `null`: the workspace is a folder. */
  readonly fd: number | null
  /** How many of each are told. */
  readonly count: number
  /** A walk or a search that takes longer is left, and reported as incomplete, in milliseconds. */
  readonly limitMs: number
}

/** A walk of 100,000 files takes a second or two. */
export const TOP_LIMIT_MS = 10_000
/** The helper ends at its own limit; a call that does not come back ends with it. */
const HELPER_MARGIN_MS = 2_000
const STAT_BLOCK_BYTES = 512
const DELETED = ' (deleted)'

/**
 * Names in the workspace belong to its users: the walk follows none, and nothing that is mounted there is asked.
 *
 * @throws HelperError
 */
export async function readTop(path: string, options: TopOptions): Promise<WorkspaceTop> {
  const [walked, deleted] = await Promise.all([walk(path, options), findDeletedOpen(path, options)])
  const largest = [...deleted.files].sort((a, b) => b.bytes - a.bytes).slice(0, options.count)
  return {
    complete: walked.complete && deleted.complete,
    entries: walked.entries,
    deletedOpenBytes: deleted.files.reduce((sum, { bytes }) => sum + bytes, 0),
    deletedOpen: largest,
  }
}

interface Walked {
  readonly complete: boolean
  /** What is directly in the folder, each with all that is below it; the largest first. */
  readonly entries: WorkspaceTop['entries']
}

async function walk(root: string, { fd, count, limitMs }: TopOptions): Promise<Walked> {
  // Not by its path: something may be mounted over it.
  const path = fd === null ? root : HELD_PATH
  const printed = await runHelper('largest', [path, String(count), String(limitMs)], {
    limitMs: limitMs + HELPER_MARGIN_MS,
    ...(fd === null ? {} : { fd }),
  })
  const [facts = '', ...lines] = printed.toString('utf8').split('\0').slice(0, -1)
  const entries = lines.map(line => {
    const [, bytes, files, name = ''] = /^(\d+) (\d+) (.*)$/s.exec(line) ?? []
    return { path: join(root, name), bytes: Number(bytes), files: Number(files) }
  })
  return { complete: facts === '1 0', entries: entries.sort((a, b) => b.bytes - a.bytes) }
}

/** Where the helper has the descriptor that it is given. */
const HELD_PATH = '/proc/self/fd/3'

interface Deleted {
  readonly complete: boolean
  readonly files: WorkspaceTop['deletedOpen']
}

async function deviceAt(folder: string, held: number | null): Promise<string | null> {
  const fd = held ?? openSync(folder, 'r')
  try {
    return await deviceOf(fd)
  } finally {
    if (held === null) closeSync(fd)
  }
}

/** Links of /proc/PID/fd to files without a name, on this file system, that were below the folder. Each once. */
async function findDeletedOpen(root: string, { fd, limitMs }: TopOptions): Promise<Deleted> {
  const deadline = performance.now() + limitMs
  const folder = fd === null ? realpathSync(root) : root
  const device = await deviceAt(folder, fd)
  const mountIds = createMountIds()
  const found = new Map<bigint, WorkspaceTop['deletedOpen'][number]>()
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    for (const one of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      if (performance.now() > deadline) return { complete: false, files: [...found.values()] }
      const link = `/proc/${pid}/fd/${one}`
      const target = await readlink(link).catch(() => '')
      if (!target.endsWith(DELETED)) continue
      const path = target.slice(0, -DELETED.length)
      if (fd === null && !isBelow(path, folder)) continue
      // A stat of what is elsewhere may never come back.
      if ((await mountIds.mountOf(pid, one))?.device !== device) continue
      const stats = await stat(link, { bigint: true }).catch(() => null)
      if (stats === null || stats.nlink > 0n || found.has(stats.ino)) continue
      const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')).trim()
      const bytes = Number(stats.blocks) * STAT_BLOCK_BYTES
      found.set(stats.ino, { pid: Number(pid), name, path, bytes })
    }
  }
  return { complete: true, files: [...found.values()] }
}
