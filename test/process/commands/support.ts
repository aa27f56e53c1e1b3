/** What the tests of commands share. */
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Guestd,
  type GuestdOptions,
  startGuestd,
  type Teardown,
  until,
} from '../../helpers/guestd.ts'
import { killAll, processesWith } from '../../helpers/processes.ts'

export const MIB = 1024 * 1024

export interface Mark {
  /** To be put into a request: no other command has it. */
  readonly env: Readonly<Record<string, string>>
  /** The live processes that descend from that command, wherever they went. */
  readonly living: () => number[]
}

let marks = 0

/** Marks all processes of one command; what is left of them ends with the test. */
export function mark(t: { teardown(undo: () => unknown): void }): Mark {
  marks += 1
  const name = `GUESTD_TEST_MARK_${process.pid}_${marks}`
  const living = () => processesWith(`${name}=1`)
  t.teardown(() => killAll(living()))
  return { env: { [name]: '1' }, living }
}

export async function inspect(on: Guestd, id: unknown): Promise<Record<string, unknown>> {
  return (await on.request('GET', `/v1/commands/${id}`)).json()
}

/** DELETE */
export async function remove(on: Guestd, id: string) {
  const reply = await on.request('DELETE', `/v1/commands/${id}`)
  return { status: reply.status, body: reply.json() }
}

export async function detach(on: Guestd, body: object) {
  return on.request('POST', '/v1/commands', { body: { ...body, detach: true } })
}

export interface Containment {
  readonly mode: 'cgroup2' | 'group'
  readonly path: string | null
  readonly limits: readonly string[]
}

/** How this guestd holds its commands. */
export async function containmentOf(on: Guestd): Promise<Containment> {
  const { cgroup } = (await on.request('GET', '/v1/session')).json()
  return cgroup as Containment
}

/** Unmounts every cgroup v2 hierarchy: field 5 of the lines of /proc/self/mountinfo, proc(5). */
const UNMOUNT_ALL = [
  'while read -r _ _ _ _ at rest; do',
  '  case "$rest" in *" - cgroup2 "*) umount -l "$at";; esac',
  'done < /proc/self/mountinfo',
  'exec "$@"',
].join('\n')

/** Becomes guestd in a mount namespace without cgroup v2: commands are held by their session alone. */
export const WITHOUT_CGROUPS = ['unshare', '--mount', 'sh', '-c', UNMOUNT_ALL, 'sh']

/** How much output of the command has entered its log, in bytes. */
export const written = async (on: Guestd, id: string) => Number((await inspect(on, id)).cursor)

/** The write position once it has stopped: the same for a while. */
export async function stoppedAt(on: Guestd, id: string): Promise<number> {
  let before = -1
  await until(async () => {
    const now = await written(on, id)
    const same = now === before && now > 0
    before = now
    if (!same) await sleep(250)
    return same
  })
  return before
}

/** User and system time of a process, in milliseconds: fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms. */
export function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** The user that commands of {@link startForOther} run as. */
export const OTHER_USER = 'nobody'

export const otherId = (flag: '-u' | '-g') =>
  Number(execFileSync('id', [flag, OTHER_USER], { encoding: 'utf8' }))

/** A guestd that runs as root, and its commands as another user, to whom the workspace belongs. */
export async function startForOther(t: Teardown, options: GuestdOptions = {}): Promise<Guestd> {
  if (userInfo().uid !== 0) throw new Error('these tests run as root')
  const guestd = await startGuestd(t, {
    ...options,
    config: { user: OTHER_USER, ...options.config },
  })
  chmodSync(guestd.dir, 0o755)
  chownSync(guestd.workspace, otherId('-u'), otherId('-g'))
  return guestd
}
