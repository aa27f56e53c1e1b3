/** Lists mounts: /proc/PID/mountinfo, proc(5). */
import { readFileSync } from 'node:fs'

export interface Mount {
  /** The `mnt_id` of fdinfo. */
  readonly id: string
  /** The id of the mount that it is mounted on. */
  readonly parent: string
  /** `MAJOR:MINOR` of the device. */
  readonly device: string
  readonly at: string
  readonly type: string
  readonly source: string
  /** Whether the mount or the file system is read-only. */
  readonly readOnly: boolean
  /** Its peer group, which receives each mount and unmount below it; `null`: it is private. */
  readonly sharedIn: string | null
  /** Options of the file system, such as `emergency_ro`. */
  readonly superOptions: readonly string[]
  /** Peer groups whose mounts and unmounts it receives, including `sharedIn`: mount_namespaces(7). */
  readonly learnsFrom: readonly string[]
}

/** In the order of creation. The last mount on a folder hides the earlier ones. */
export function listMounts(pid: number | string = 'self'): readonly Mount[] {
  return readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(parseMount)
}

/** The visible mount on this folder; `null` without one. */
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

/** Decodes blanks, tabs, newlines and backslashes, which files of /proc contain in octal. */
export function decodeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
}
