/** Runs the programs of e2fsprogs and util-linux that look at devices and change them. */
import { type Ran, runProgram } from '../sys/program.ts'
import { firstOf, lastOf } from '../util/cut-text.ts'

export type { Ran } from '../sys/program.ts'

const PATH = '/usr/sbin:/sbin:/usr/bin:/bin'
const MAX_WORDS_CHARACTERS = 300

/**
 * What it said comes in one line, for people.
 *
 * @param cancel aborted, it gets SIGTERM
 * @returns `null` where the program is not installed
 */
export async function runTool(
  program: 'e2fsck' | 'mke2fs' | 'wipefs',
  args: readonly string[],
  limitMs: number,
  cancel?: AbortSignal,
): Promise<Ran | null> {
  const options = { path: PATH, limitMs, ownSession: true, ...(cancel && { cancel }) }
  const ran = await runProgram(program, args, options)
  return ran === null ? null : { status: ran.status, text: inOneLine(ran.text) }
}

/** Of much the beginning and the end, where the verdict is. */
function inOneLine(text: string): string {
  const line = text.split('\n').join('; ')
  if (line.length <= MAX_WORDS_CHARACTERS) return line
  const half = MAX_WORDS_CHARACTERS / 2
  return `${firstOf(line, half)} … ${lastOf(line, half)}`
}
