import { spawnSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { join } from 'node:path'

/** The cgroups that a guestd has made, one path a line. @param dir of `startGuestd` */
export function ownCgroups(dir: string): string {
  const name = `guestd-${hash('sha256', join(dir, 'run')).slice(0, 12)}`
  // Other processes may remove folders meanwhile: find then fails, and prints what it has found.
  return spawnSync('find', ['/sys/fs/cgroup', '-maxdepth', '5', '-name', name], {
    encoding: 'utf8',
  }).stdout
}
