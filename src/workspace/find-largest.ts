/** Finds what takes the space: the largest entries, and files that are deleted but still open. */
import { join } from 'node:path'
import type { WorkspaceLargest } from '../protocol/schemas.ts'
import { runHelper } from '../sys/helper.ts'
import { findDeletedOpen } from './deleted-open.ts'

export interface LargestOptions {
  /** Open on the root of the volume; `null`: the workspace is a folder. */
  readonly fd: number | null
  /** Number of entries of each list. */
  readonly count: number
  /** A walk or a search that takes longer is given up, and its result is incomplete. In milliseconds. */
  readonly limitMs: number
}

/** In milliseconds. A walk of 100,000 files takes a second or two. */
export const LARGEST_LIMIT_MS = 10_000
/** The helper ends at its own limit; if a call blocks it, it is killed after this. In milliseconds. */
const HELPER_MARGIN_MS = 2_000

/**
 * Users choose the names in the workspace: the walk follows no link, and does not enter what is mounted there.
 *
 * @throws HelperError
 */
export async function findLargest(
  path: string,
  options: LargestOptions,
): Promise<Omit<WorkspaceLargest, 'memory'>> {
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
  /** Entries of the folder itself, each with everything below it, the largest first. */
  readonly entries: WorkspaceLargest['entries']
}

async function walk(root: string, { fd, count, limitMs }: LargestOptions): Promise<Walked> {
  // Not by its path, as something may be mounted over it.
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

/** The descriptor that the helper inherits. */
const HELD_PATH = '/proc/self/fd/3'
