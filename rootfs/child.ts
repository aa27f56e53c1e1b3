/** Programs that a machine consists of: they never outlive this process, however it ends. */

import { execa } from 'execa'
import { findTool } from './tools.ts'

export interface Child {
  pid: number
  /** Settles when the program has ended, with how: `exit code 1: …what it wrote to stderr`. */
  exited: Promise<string>
  /** Ends it and waits: SIGTERM lets QEMU finish its disks, SIGKILL is a power cut. */
  end: (signal: 'SIGTERM' | 'SIGKILL') => Promise<void>
}

/** After SIGTERM a program has this long. QEMU takes some 100 ms. */
const TERM_LIMIT_MS = 5_000
/** Characters kept of a program's stderr. */
const MAX_STDERR_CHARS = 2_000

/**
 * Starts a program that the kernel kills when this process dies. It is not in the terminal's
 * foreground process group, so Ctrl-C reaches this process alone, which then stops the programs.
 */
export async function startChild(program: string, args: readonly string[]): Promise<Child> {
  const [tied, tiedArgs] = await tiedCommand(program, args)
  const child = execa(tied, tiedArgs, {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    cleanup: false,
    reject: false,
  })
  const exited = child.then(result => {
    const how = result.signal ?? `exit code ${result.exitCode}`
    return `${how}: ${result.stderr.slice(-MAX_STDERR_CHARS)}`.trim()
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`cannot start ${program}: ${await exited}`)
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), TERM_LIMIT_MS)
    await exited
    clearTimeout(timer)
  }
  return { pid, exited, end }
}

/** The command with which the kernel kills a program when this process dies. */
export async function tiedCommand(
  program: string,
  args: readonly string[],
): Promise<[string, string[]]> {
  return [await findTool('setpriv'), ['--pdeathsig', 'SIGKILL', '--', program, ...args]]
}
