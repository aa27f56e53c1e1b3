/** Mounts that a run left which was killed; their loop devices go with them. */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'

/** Disks are mounted in the folder of the recording, at this name with a number. */
export const MOUNT_POINT = 'mnt-'

export function unmountAll(folder: string): void {
  for (const name of globSync(`${MOUNT_POINT}*`, { cwd: folder }))
    spawnSync('umount', ['-q', join(folder, name)])
}
