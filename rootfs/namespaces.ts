/** Commands that build a Debian: as root of a mount and process namespace of their own. */

import { execa } from 'execa'
import { tiedCommand } from './child.ts'
import { findTool } from './tools.ts'
import { VmError } from './vm-error.ts'

/** Of a failed command's log, the part worth showing: a few screens. */
const MAX_LOG_CHARS = 4_000
const NAMESPACES = ['--mount', '--mount-proc', '--pid', '--fork', '--kill-child=SIGKILL', '--']

export interface BuildOptions {
  /** For the error: what was to be done. */
  what: string
  env?: Readonly<Record<string, string>>
  /** What the command writes to stdout is unpacked into this folder as a tar archive. */
  unpackInto?: string
}

/**
 * Runs a command as root in namespaces that end with it, so that neither a mount nor a process of
 * it is left, whatever happens. An ordinary user gets a user namespace, in which the command can
 * write nowhere but to its own temporary files and stdout.
 * @throws VmError with the end of its output
 */
export async function buildAsRoot(
  command: readonly [string, ...string[]],
  options: BuildOptions,
): Promise<void> {
  const outer = isRoot()
    ? [await findTool('unshare'), ...NAMESPACES]
    : [await findTool('mmdebstrap'), '--unshare-helper']
  await runTied([...outer, ...command], options)
}

/** Runs a program that makes its namespaces itself, or has none. @throws VmError as above */
export async function runTied(
  command: readonly string[],
  { what, env, unpackInto }: BuildOptions,
): Promise<void> {
  const [first = '', ...rest] = command
  const [program, args] = await tiedCommand(first, rest)
  const settings = { reject: false, stdin: 'ignore', env: { ...env } } as const
  const made = execa(program, args, { ...settings, buffer: { stdout: unpackInto === undefined } })
  const untar = ['--directory', unpackInto ?? '', '--no-same-owner', '--extract']
  const unpacked = unpackInto === undefined ? null : made.pipe('tar', untar, { reject: false })
  const result = await made
  if (result.failed) {
    const log = `${result.stdout ?? ''}\n${result.stderr}`.trim().slice(-MAX_LOG_CHARS)
    throw new VmError(`${what}: ${result.shortMessage?.split('\n')[0]}:\n${log}`)
  }
  const tar = await unpacked
  if (tar?.failed) throw new VmError(`${what}: its output could not be unpacked: ${tar.stderr}`)
}

export function isRoot(): boolean {
  return process.getuid?.() === 0
}
