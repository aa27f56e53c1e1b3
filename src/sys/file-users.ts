/** Finds the processes that have a file open for writing: /proc of each process (proc(5), fdinfo). */
import { closeSync, fstatSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { firstOf } from '../util/cut-text.ts'
import { O_PATH, statForeignFd } from './foreign-fd.ts'
import { createMountIds, deviceOf, type MountIds } from './mount-ids.ts'
import { commOf, fdInfo, fdsOf, otherProcesses } from './proc-scan.ts'

export interface FileUser {
  readonly pid: number
  /** Its command line in one line, cut to 120 characters. When it is empty, the name of the process. */
  readonly command: string
  /** It has a lock on the file. QEMU uses open file description locks. */
  readonly locks: boolean
}

/** Names in a message. */
const MAX_USERS = 8
const MAX_COMMAND_CHARACTERS = 120
/** The bits of the access mode in the flags of open(2). */
const ACCESS_MODE = 0o3

/** The limit of `findHolders`, in milliseconds. */
const LIMIT_MS = 5_000

export interface FileUsersOptions {
  /** Called for each process that was not searched within the limit. */
  readonly onUnseen?: (pid: number) => void
  /** For the whole search, in milliseconds. Default: 5,000. */
  readonly limitMs?: number
}

/**
 * Finds at most 8 processes, without this one. Only root sees the descriptors of other users.
 *
 * @throws Error with a `code` when the file does not exist
 */
export async function findFileUsers(
  path: string,
  { onUnseen, limitMs = LIMIT_MS }: FileUsersOptions = {},
): Promise<readonly FileUser[]> {
  const deadline = performance.now() + limitMs
  const file = await idOf(path)
  const mountIds = createMountIds()
  const found: FileUser[] = []
  for await (const pid of otherProcesses({ deadline, onUnseen })) {
    const use = await useOf(pid, file, mountIds)
    if (use === null) continue
    found.push({ pid: Number(pid), command: await commandOf(pid), locks: use === 'locks' })
    if (found.length === MAX_USERS) break
  }
  return found
}

interface FileId {
  readonly dev: bigint
  readonly ino: bigint
  /** `MAJOR:MINOR` of mountinfo; `null` when it is not there. */
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
  for (const fd of await fdsOf(pid)) {
    // Another file system may never answer, so its files are not examined.
    if ((await mountIds.mountOf(pid, fd))?.device !== device) continue
    const stats = await statForeignFd(pid, fd, mountIds, mount => mount.device === device)
    if (stats?.dev !== dev || stats.ino !== ino) continue
    const info = await fdInfo(pid, fd)
    if (/^lock:/m.test(info)) return 'locks'
    const [, flags = '0'] = /^flags:\s*([0-7]+)/m.exec(info) ?? []
    writes ||= (Number.parseInt(flags, 8) & ACCESS_MODE) !== 0
  }
  return writes ? 'writes' : null
}

/** The command line of a process for a message, see {@link FileUser.command}. */
export async function commandOf(pid: string): Promise<string> {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  const text = line.replace(/[\p{Cc}\s]+/gu, ' ').trim()
  if (text !== '') return firstOf(text, MAX_COMMAND_CHARACTERS)
  return await commOf(pid)
}
