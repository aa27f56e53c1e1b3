/** Memory of the commands, and of files in memory. */
import { readFileSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { type CgroupTree, isPopulated } from './cgroup.ts'
import { readText } from './read-text.ts'

export interface CommandsMemory {
  /** The limit of all commands but those of root. All fields are in bytes. */
  readonly limitBytes: number
  readonly usedBytes: number
  /** The part of files in memory and of shared memory. It may stay after the processes have ended. */
  readonly leftBytes: number
}

/** `null` without a cgroup that counts and limits memory. */
export function readCommandsMemory(tree: CgroupTree | null): CommandsMemory | null {
  if (tree === null || !tree.controllers.includes('memory')) return null
  const path = tree.commandsPath
  try {
    const limitBytes = Number(readFileSync(join(path, 'memory.max'), 'utf8'))
    const usedBytes = Number(readFileSync(join(path, 'memory.current'), 'utf8'))
    if (!Number.isSafeInteger(limitBytes)) return null
    const stat = readFileSync(join(path, 'memory.stat'), 'utf8')
    const of = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(stat)?.[1] ?? 0)
    // The kernel can reclaim the cache of files on disks. `file` also contains files in memory.
    const cached = of('file') - of('shmem') + of('slab_reclaimable')
    const leftBytes = isPopulated(path) ? of('shmem') : usedBytes - cached
    return { limitBytes, usedBytes, leftBytes: Math.max(0, leftBytes) }
  } catch {
    return null
  }
}

export interface MemoryPlace {
  readonly place: string
  readonly bytes: number
}

/** Places with files in memory, and SysV segments; the largest first, without the empty ones. */
export function memoryPlaces(): MemoryPlace[] {
  const places = [
    { place: 'files of /', bytes: rootFilesBytes() ?? 0 },
    { place: 'files in /dev/shm', bytes: bytesOfTmpfs('/dev/shm') ?? 0 },
    { place: 'SysV shared memory', bytes: segmentBytes() },
  ]
  return places.filter(({ bytes }) => bytes > 0).sort((a, b) => b.bytes - a.bytes)
}

/** TMPFS_MAGIC: statfs(2). */
const TMPFS = 0x01021994
/** The source of the overlay whose upper layer is in memory, as the image's initramfs mounts it. */
const ROOT_IN_MEMORY = 'guestd-memory'

/** Memory of the files of the root file system, in bytes; `null` when it is on a disk. */
export function rootFilesBytes(): number | null {
  const isOverlay = readText('/proc/self/mountinfo')
    .split('\n')
    .some(line => line.split(' ')[4] === '/' && line.includes(` - overlay ${ROOT_IN_MEMORY} `))
  return isOverlay ? usedBytes('/') : bytesOfTmpfs('/')
}

function bytesOfTmpfs(path: string): number | null {
  try {
    return statfsSync(path).type === TMPFS ? usedBytes(path) : null
  } catch {
    return null
  }
}

function usedBytes(path: string): number {
  const { blocks, bfree, bsize } = statfsSync(path)
  return (blocks - bfree) * bsize
}

/** Resident size of the SysV segments, in bytes: `rss` of /proc/sysvipc/shm, proc(5). */
function segmentBytes(): number {
  const [head = '', ...lines] = readText('/proc/sysvipc/shm').trim().split('\n')
  const column = head.trim().split(/\s+/).indexOf('rss')
  return lines.reduce((sum, line) => sum + Number(line.trim().split(/\s+/)[column] ?? 0), 0)
}
