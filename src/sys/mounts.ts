/** What is mounted where: /proc/self/mountinfo, proc(5). */
import { readFileSync } from 'node:fs'

export interface Mount {
  /** `mnt_id` of fdinfo. */
  readonly id: string
  /** The mount that it is mounted on. */
  readonly parent: string
  /** `MAJOR:MINOR` of the device. */
  readonly device: string
  readonly at: string
  readonly type: string
  readonly source: string
  /** Of the mount or of the file system itself. */
  readonly readOnly: boolean
  /** What is mounted in it, or unmounted, is so in all mounts with this number, too; `null`: in no other. */
  readonly sharedIn: string | null
  /** Of the file system itself, such as `emergency_ro`. */
  readonly superOptions: readonly string[]
  /** Numbers of which it has what is mounted and unmounted, its own `sharedIn` among them: mount_namespaces(7). */
  readonly learnsFrom: readonly string[]
}

/** In the order in which they were made: of several at one place the last one is seen. */
export function listMounts(pid: number | string = 'self'): readonly Mount[] {
  return readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(parseMount)
}

/** What is seen at this place; `null` where nothing is mounted. */
export function mountAt(path: string): Mount | null {
  return listMounts().findLast(mount => mount.at === path) ?? null
}

const GROUP_TAGS: readonly string[] = ['shared', 'master', 'propagate_from']

/** ID PARENT MAJOR:MINOR ROOT AT OPTIONS [TAG…] - TYPE SOURCE SUPER-OPTIONS */
function parseMount(line: string): Mount {
  const [mount = '', system = ''] = line.split(' - ')
  const [id = '', parent = '', device = '', , at = '', options = '', ...tags] = mount.split(' ')
  const sharedIn = tags.find(tag => tag.startsWith(SHARED))?.slice(SHARED.length) ?? null
  const [type = '', source = '', superText = ''] = system.split(' ')
  const superOptions = superText.split(',')
  const readOnly = superOptions.includes('ro') || options.split(',').includes('ro')
  const groups = tags.map(tag => tag.split(':')).filter(([kind = '']) => GROUP_TAGS.includes(kind))
  return {
    id,
    parent,
    device,
    at: decodeOctal(at),
    type,
    source: decodeOctal(source),
    readOnly,
    sharedIn,
    superOptions,
    learnsFrom: groups.map(([, group = '']) => group),
  }
}

const SHARED = 'shared:'

/** Blanks, tabs, newlines and backslashes are written in octal, as in other files of /proc. */
export function decodeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
}
