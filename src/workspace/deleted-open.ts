/** Finds files that are deleted and still open. Their space is freed only when the processes close them. */
import { closeSync, openSync, realpathSync } from 'node:fs'
import { readdir, readlink } from 'node:fs/promises'
import type { WorkspaceLargest } from '../protocol/schemas.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { createMountIds, deviceOf } from '../sys/mount-ids.ts'
import { commOf, fdsOf } from '../sys/proc-scan.ts'
import { isBelow } from '../volume/unavailable.ts'

export interface DeletedOpen {
  /** Every process and every file could be inspected in time. */
  readonly complete: boolean
  readonly files: WorkspaceLargest['deletedOpen']
}

export interface DeletedOpenOptions {
  /** Open on the root of the volume; `null`: the workspace is a folder. */
  readonly fd: number | null
  /** A search that takes longer is given up, in milliseconds. */
  readonly limitMs: number
}

const STAT_BLOCK_BYTES = 512
const DELETED = ' (deleted)'
/** The most candidates that are inspected. */
const MAX_CANDIDATES = 10_000

/**
 * Finds links in /proc/PID/fd to files without a name, on this file system, that were below the folder. Each file is listed
 * once. guestd itself reads only /proc. guestd-helper calls stat(2) on the files, as their file system may not answer: a
 * file may be named `f (deleted)`, on an overlay over a FUSE that hangs.
 */
export async function findDeletedOpen(
  root: string,
  options: DeletedOpenOptions,
): Promise<DeletedOpen> {
  const deadline = performance.now() + options.limitMs
  const { complete, candidates } = await findCandidates(root, options.fd, deadline)
  const answers = await statAll(candidates, Math.max(deadline - performance.now(), 1))
  const found = new Map<string, WorkspaceLargest['deletedOpen'][number]>()
  for (const [index, { pid, path }] of candidates.entries()) {
    const [, inode = '', links, blocks] = /^(\d+) (\d+) (\d+)$/.exec(answers[index] ?? '') ?? []
    if (links !== '0' || found.has(inode)) continue
    const name = await commOf(pid)
    const bytes = Number(blocks) * STAT_BLOCK_BYTES
    found.set(inode, { pid: Number(pid), name, path, bytes })
  }
  return {
    complete: complete && answers.length >= candidates.length,
    files: [...found.values()],
  }
}

interface Candidate {
  readonly pid: string
  readonly link: string
  /** Where the file was, or the path of a file whose name ends in " (deleted)". */
  readonly path: string
}

async function findCandidates(root: string, held: number | null, deadline: number) {
  const folder = held === null ? realpathSync(root) : root
  const device = await deviceAt(folder, held)
  const mountIds = createMountIds()
  const candidates: Candidate[] = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    for (const one of await fdsOf(pid)) {
      if (performance.now() > deadline || candidates.length === MAX_CANDIDATES)
        return { complete: false, candidates }
      const link = `/proc/${pid}/fd/${one}`
      const target = await readlink(link).catch(() => '')
      if (!target.endsWith(DELETED)) continue
      const path = target.slice(0, -DELETED.length)
      if (held === null && !isBelow(path, folder)) continue
      if ((await mountIds.mountOf(pid, one))?.device !== device) continue
      candidates.push({ pid, link, path })
    }
  }
  return { complete: true, candidates }
}

async function deviceAt(folder: string, held: number | null): Promise<string | null> {
  const fd = held ?? openSync(folder, 'r')
  try {
    return await deviceOf(fd)
  } finally {
    if (held === null) closeSync(fd)
  }
}

/** A line for each candidate; fewer if a file does not answer in time. */
async function statAll(candidates: readonly Candidate[], limitMs: number): Promise<string[]> {
  if (candidates.length === 0) return []
  const input = Buffer.from(candidates.map(({ link }) => `${link}\0`).join(''))
  try {
    const printed = await runHelper('stats', [], { limitMs, input })
    return printed.toString('latin1').split('\n').slice(0, -1)
  } catch (error) {
    if (error instanceof HelperError) return []
    throw error
  }
}
