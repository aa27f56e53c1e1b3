/** The programs of e2fsprogs. */
import { execFile } from 'node:child_process'
import { VolumeError } from './error.ts'

export interface Ran {
  readonly status: number
  /** Both streams. */
  readonly text: string
}

/** They lie where an ordinary user's PATH may not lead. */
const MORE_PATH = '/usr/sbin:/sbin'
const MAX_OUTPUT_BYTES = 1024 * 1024

/** @throws VolumeError where the program is not installed, or was ended by a signal */
export async function runTool(program: 'mke2fs' | 'e2fsck', args: readonly string[]): Promise<Ran> {
  const env = { PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:${MORE_PATH}` }
  return new Promise((resolve, reject) => {
    execFile(program, args, { env, maxBuffer: MAX_OUTPUT_BYTES }, (error, stdout, stderr) => {
      const text = `${stdout}${stderr}`.trim()
      if (error === null) resolve({ status: 0, text })
      else if (typeof error.code === 'number') resolve({ status: error.code, text })
      else if (error.code === 'ENOENT')
        reject(new VolumeError(`${program} is not installed: it is in the package e2fsprogs`))
      else reject(new VolumeError(`${program}: ${error.message}`))
    })
  })
}
