/** Runs the programs of e2fsprogs and util-linux. */
import { type Ran, runProgram } from '../sys/program.ts'
import { firstOf, lastOf } from '../util/cut-text.ts'
import { VolumeError } from './volume-error.ts'

export type { Ran } from '../sys/program.ts'

const GUEST_PATH = '/usr/sbin:/sbin:/usr/bin:/bin'
/** An ordinary user's PATH may not contain them. */
const MORE_PATH = '/usr/sbin:/sbin'
const MAX_TEXT_CHARACTERS = 300

/**
 * In the guest: with a limit, in a session of its own, and with its output as one line.
 *
 * @param limitMs in milliseconds
 * @param cancel when it is aborted, the program gets SIGTERM
 * @returns `null`: the program is not installed
 */
export async function runGuestTool(
  program: 'e2fsck' | 'mke2fs' | 'wipefs',
  args: readonly string[],
  limitMs: number,
  cancel?: AbortSignal,
): Promise<Ran | null> {
  const options = { path: GUEST_PATH, limitMs, ownSession: true, ...(cancel && { cancel }) }
  const ran = await runProgram(program, args, options)
  return ran === null ? null : { status: ran.status, text: inOneLine(ran.text) }
}

/** On the host: without a limit. @throws VolumeError if the program is not installed */
export async function runHostTool(
  program: 'mke2fs' | 'e2fsck' | 'debugfs',
  args: readonly string[],
): Promise<Ran> {
  const path = `${process.env.PATH ?? '/usr/bin:/bin'}:${MORE_PATH}`
  const ran = await runProgram(program, args, { path, limitMs: null })
  if (ran === null)
    throw new VolumeError(`${program} is not installed: it is in the package e2fsprogs`)
  return ran
}

/** Of a long text the beginning and the end, where the result is. */
function inOneLine(text: string): string {
  const line = text.split('\n').join('; ')
  if (line.length <= MAX_TEXT_CHARACTERS) return line
  const half = MAX_TEXT_CHARACTERS / 2
  return `${firstOf(line, half)} … ${lastOf(line, half)}`
}
