/** Temporary folders, removed when their process exits. */

import { existsSync, rmSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

export interface TempFolder {
  path: string
  remove: () => Promise<void>
}

/** Followed by what the folder is for, the process that made it, and random characters. */
const PREFIX = 'guestd-'

/**
 * A folder that only this user can enter, removed by `remove`, or when this process exits, or, if
 * it was killed, when another one calls this.
 *
 * @param purpose a word for its name
 * @param parent by default the system's folder for temporary files
 */
export async function createTempFolder(purpose: string, parent = tmpdir()): Promise<TempFolder> {
  await removeOrphans(parent)
  const folder = await mkdtemp(path.join(parent, `${PREFIX}${purpose}-${process.pid}-`))
  const removeAtExit = (): void => rmSync(folder, { recursive: true, force: true })
  process.once('exit', removeAtExit)
  return {
    path: folder,
    remove: async () => {
      process.off('exit', removeAtExit)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function removeOrphans(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const maker = NAME.exec(name)?.[1]
    if (maker === undefined || existsSync(`/proc/${maker}`)) continue
    // Another user's folder stays.
    await rm(path.join(parent, name), { recursive: true, force: true }).catch(() => {})
  }
}

const NAME = new RegExp(`^${PREFIX}[a-z]+-(\\d+)-`)
