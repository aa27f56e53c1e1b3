/**
 * Refuses arguments and variables that are not UTF-8. Node replaces such bytes with U+FFFD, and the API accepts
 * text only, so the command would get other bytes than the user gave.
 */

import { isUtf8 } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { UsageError } from './command-spec.ts'

const REPLACEMENT = '\uFFFD'
const NUL = 0

/**
 * @param args the last arguments of this process, as Node gives them
 * @throws UsageError if it is not UTF-8
 */
export function checkArguments(args: readonly string[]): void {
  if (!args.some(arg => arg.includes(REPLACEMENT))) return
  const raw = entriesOf('/proc/self/cmdline').slice(-args.length)
  const bad = args.find((_, index) => !isUtf8(raw[index] ?? Buffer.alloc(0)))
  if (bad !== undefined)
    throw new UsageError(`the argument '${bad}' is not UTF-8: it cannot be sent`)
}

/**
 * The value of a variable of this process's environment, or `undefined`.
 *
 * @throws UsageError if it is not UTF-8
 */
export function ownVariable(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = Object.hasOwn(env, name) ? env[name] : undefined
  if (value?.includes(REPLACEMENT) !== true) return value
  const prefix = Buffer.from(`${name}=`)
  const raw = entriesOf('/proc/self/environ').find(entry => entry.indexOf(prefix) === 0)
  if (raw === undefined || isUtf8(raw)) return value
  throw new UsageError(`the value of the variable ${name} is not UTF-8: it cannot be sent`)
}

/** The entries of a file, each ended by NUL. No entries if the file does not exist. */
function entriesOf(path: string): readonly Buffer[] {
  const entries: Buffer[] = []
  let rest = readOrEmpty(path)
  for (let end = rest.indexOf(NUL); end >= 0; end = rest.indexOf(NUL)) {
    entries.push(rest.subarray(0, end))
    rest = rest.subarray(end + 1)
  }
  return entries
}

function readOrEmpty(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch {
    return Buffer.alloc(0)
  }
}
