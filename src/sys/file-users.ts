/** Who has a file open for writing: /proc of every process (proc(5), fdinfo). */
import { closeSync, fstatSync, openSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { firstOf } from '../util/cut-text.ts'
import { O_PATH, statForeignFd } from './foreign-fd.ts'
import { createMountIds, deviceOf, type MountIds } from './mount-ids.ts'

export interface FileUser {
  readonly pid: number
  /** Its command line in one line, cut to 120 characters; without one its comm. */
  readonly command: string
  /** It has a lock on it: open file description locks are those of QEMU. */
  readonly locks: boolean
}

/** More names help nobody. */
const MAX_USERS = 8
const MAX_COMMAND_CHARACTERS = 120
/** The access mode in the flags of open(2), in octal as fdinfo has them. */
const ACCESS_MODE = 0o3

/** As long as the search for the holders of a device takes at most, in milliseconds. */
const LIMIT_MS = 5_000

export interface FileUsersOptions {
  /** Called for each process that the search did not come to within its limit. */
  readonly onUnseen?: (pid: number) => void
  /** For the whole search, in milliseconds. Default: 5,000. */
  readonly limitMs?: number
}

/**
 * At most 8, without this process. Descriptors of other users' processes are only seen by root.
 *
 * @throws where there is no such file
 */
export async function findFileUsers(
  path: string,
  { onUnseen, limitMs = LIMIT_MS }: FileUsersOptions = {},
): Promise<readonly FileUser[]> {
  const deadline = performance.now() + limitMs
  const file = await idOf(path)
  const mountIds = createMountIds()
  const found: FileUser[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    if (performance.now() > deadline) {
      onUnseen?.(Number(name))
      continue
    }
    const use = await useOf(name, file, mountIds)
    if (use === null) continue
    found.push({ pid: Number(name), command: await commandOf(name), locks: use === 'locks' })
    if (found.length === MAX_USERS) break
  }
  return found
}

interface FileId {
  readonly dev: bigint
  readonly ino: bigint
  /** As mountinfo has it; `null` where that does not say. */
  readonly device: string | null
}

async function idOf(path: string): Promise<FileId> {
  const fd = openSync(path, O_PATH)
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true })
    return { dev, ino, device: await deviceOf(fd) }
  } finally {
    closeSync(fd)
  }
}

async function useOf(
  pid: string,
  { dev, ino, device }: FileId,
  mountIds: MountIds,
): Promise<'locks' | 'writes' | null> {
  let writes = false
  for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    // What is elsewhere is not asked: it may never answer.
    if ((await mountIds.mountOf(pid, fd))?.device !== device) continue
    const stats = await statForeignFd(pid, fd, mountIds, mount => mount.device === device)
    if (stats?.dev !== dev || stats.ino !== ino) continue
    const info = await readFile(`/proc/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '')
    if (/^lock:/m.test(info)) return 'locks'
    const [, flags = '0'] = /^flags:\s*([0-7]+)/m.exec(info) ?? []
    writes ||= (Number.parseInt(flags, 8) & ACCESS_MODE) !== 0
  }
  return writes ? 'writes' : null
}

/** Of a process, for people. */
export async function commandOf(pid: string): Promise<string> {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  const text = line.replace(/[\p{Cc}\s]+/gu, ' ').trim()
  if (text !== '') return firstOf(text, MAX_COMMAND_CHARACTERS)
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?')).trim()
}
