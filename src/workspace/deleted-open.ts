/** Files that are deleted and still open: their space comes back only with the processes that hold them. */
import { closeSync, openSync, realpathSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import type { WorkspaceLargest } from '../protocol/schemas.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { createMountIds, deviceOf } from '../sys/mount-ids.ts'
import { isBelow } from '../volume/unavailable.ts'

export interface DeletedOpen {
  /** Every process could be looked at in time, and every file answered. */
  readonly complete: boolean
  readonly files: WorkspaceLargest['deletedOpen']
}

export interface DeletedOpenOptions {
  /** Open on the root of a file system that all belongs to the workspace; `null`: the workspace is a folder. */
  readonly fd: number | null
  /** A search that takes longer is left, in milliseconds. */
  readonly limitMs: number
}

const STAT_BLOCK_BYTES = 512
const DELETED = ' (deleted)'
/** Of a machine with more of them the rest is not looked at. */
const MAX_CANDIDATES = 10_000

/**
 * Links of /proc/PID/fd to files without a name, on this file system, that were below the folder; each file once.
 * guestd itself asks only /proc. The files are asked by guestd-helper, as their file system may not answer: a file may be
 * named `f (deleted)`, on an overlay over a FUSE that hangs.
 */
export async function findDeletedOpen(
  root: string,
  options: DeletedOpenOptions,
): Promise<DeletedOpen> {
  const deadline = performance.now() + options.limitMs
  const { complete, candidates } = await findCandidates(root, options.fd, deadline)
  const answers = await askAll(candidates, Math.max(deadline - performance.now(), 1))
  const found = new Map<string, WorkspaceLargest['deletedOpen'][number]>()
  for (const [index, { pid, path }] of candidates.entries()) {
    const [, inode = '', links, blocks] = /^(\d+) (\d+) (\d+)$/.exec(answers[index] ?? '') ?? []
    if (links !== '0' || found.has(inode)) continue
    const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')).trim()
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
  /** Where the file was, or a file whose name ends as if it was deleted. */
  readonly path: string
}

async function findCandidates(root: string, held: number | null, deadline: number) {
  const folder = held === null ? realpathSync(root) : root
  const device = await deviceAt(folder, held)
  const mountIds = createMountIds()
  const candidates: Candidate[] = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    for (const one of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
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

/** A line for each; fewer where one does not answer in time. */
async function askAll(candidates: readonly Candidate[], limitMs: number): Promise<string[]> {
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
