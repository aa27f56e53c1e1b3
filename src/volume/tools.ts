/** The programs of e2fsprogs. */
import { type Ran, runProgram } from '../sys/program.ts'
import { VolumeError } from './volume-error.ts'

export type { Ran } from '../sys/program.ts'

/** They lie where an ordinary user's PATH may not lead. */
const MORE_PATH = '/usr/sbin:/sbin'

/** Takes as long as it takes. @throws VolumeError where the program is not installed */
export async function runTool(
  program: 'mke2fs' | 'e2fsck' | 'debugfs',
  args: readonly string[],
): Promise<Ran> {
  const path = `${process.env.PATH ?? '/usr/bin:/bin'}:${MORE_PATH}`
  const ran = await runProgram(program, args, { path, limitMs: null })
  if (ran === null)
    throw new VolumeError(`${program} is not installed: it is in the package e2fsprogs`)
  return ran
}
