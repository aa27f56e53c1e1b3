/** Who takes the space: the largest folders, and files that are deleted but still open. */
import type { Dirent } from 'node:fs'
import { lstat, readdir, readFile, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorkspaceTop } from '../protocol/schemas.ts'
import { numberOf } from '../sys/block-devices.ts'

export interface TopOptions {
  /** How many of each are told. */
  readonly count: number
  /** A walk that takes longer is left, and told as incomplete, in milliseconds. */
  readonly limitMs: number
}

/** A walk of 100,000 files takes a second or two. */
export const TOP_LIMIT_MS = 10_000
const STAT_BLOCK_BYTES = 512

export async function readTop(path: string, options: TopOptions): Promise<WorkspaceTop> {
  const { dev } = await stat(path, { bigint: true })
  const [walked, deletedOpen] = await Promise.all([
    walk(path, dev, options.limitMs),
    findDeletedOpen(numberOf(dev)),
  ])
  const largest = <T extends { readonly bytes: number }>(all: readonly T[]) =>
    [...all].sort((a, b) => b.bytes - a.bytes).slice(0, options.count)
  return {
    complete: walked.complete,
    entries: largest(walked.entries),
    deletedOpenBytes: deletedOpen.reduce((sum, { bytes }) => sum + bytes, 0),
    deletedOpen: largest(deletedOpen),
  }
}

interface Walked {
  readonly complete: boolean
  /** What is directly in the folder, each with all that is below it. */
  readonly entries: WorkspaceTop['entries']
}

async function walk(root: string, device: bigint, limitMs: number): Promise<Walked> {
  const deadline = performance.now() + limitMs
  /** A file with several names is counted once. */
  const linked = new Set<bigint>()
  let complete = true

  const sizeOf = async (path: string): Promise<{ bytes: number; files: number }> => {
    const stats = await lstat(path, { bigint: true }).catch(() => null)
    if (stats === null || stats.dev !== device) return { bytes: 0, files: 0 }
    if (!stats.isDirectory() && stats.nlink > 1n) {
      if (linked.has(stats.ino)) return { bytes: 0, files: 0 }
      linked.add(stats.ino)
    }
    const sum = { bytes: Number(stats.blocks) * STAT_BLOCK_BYTES, files: 1 }
    if (!stats.isDirectory()) return sum
    for (const entry of await list(path)) {
      if (performance.now() > deadline) {
        complete = false
        break
      }
      const below = await sizeOf(join(path, entry.name))
      sum.bytes += below.bytes
      sum.files += below.files
    }
    return sum
  }

  const entries: { path: string; bytes: number; files: number }[] = []
  for (const { name } of await list(root)) {
    if (name === 'lost+found') continue
    entries.push({ path: join(root, name), ...(await sizeOf(join(root, name))) })
  }
  return { complete, entries }
}

async function list(path: string): Promise<Dirent[]> {
  return await readdir(path, { withFileTypes: true }).catch(() => [])
}

/** Links of /proc/PID/fd to files without a name, on this device. Each file once. */
async function findDeletedOpen(device: string): Promise<WorkspaceTop['deletedOpen']> {
  const found = new Map<bigint, WorkspaceTop['deletedOpen'][number]>()
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const link = `/proc/${pid}/fd/${fd}`
      const target = await readlink(link).catch(() => '')
      if (!target.endsWith(' (deleted)')) continue
      const stats = await stat(link, { bigint: true }).catch(() => null)
      if (stats === null || stats.nlink > 0n || numberOf(stats.dev) !== device) continue
      if (found.has(stats.ino)) continue
      const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')).trim()
      const path = target.slice(0, -' (deleted)'.length)
      const bytes = Number(stats.blocks) * STAT_BLOCK_BYTES
      found.set(stats.ino, { pid: Number(pid), name, path, bytes })
    }
  }
  return [...found.values()]
}
