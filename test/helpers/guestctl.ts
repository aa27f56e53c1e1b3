/** guestctl as a process of its own, as a shell starts it. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

const GUESTCTL = join(import.meta.dirname, '../../dist/guestctl.js')

export interface GuestctlOptions {
  /** For GUESTCTL_CONNECT. */
  readonly connect?: string
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
}

export interface Ended {
  /** As a shell has it: 128 + n for a signal. */
  readonly code: number
  readonly stdout: Buffer
  readonly stderr: Buffer
  /** Both as text. */
  readonly out: string
  readonly err: string
}

export interface RunningGuestctl {
  readonly child: ChildProcess
  readonly stdin: Writable
  readonly stdout: Readable
  /** Waits until stdout holds the text. */
  untilOutput(text: string): Promise<void>
  readonly ended: Promise<Ended>
}

/** Runs it to its end; without input its standard input is empty. */
export async function guestctl(
  args: readonly string[],
  options: GuestctlOptions = {},
): Promise<Ended> {
  const running = startGuestctl(args, options)
  running.stdin.on('error', () => {})
  running.stdin.end(options.input ?? '')
  return await running.ended
}

/** @param read false: its stdout is not read */
export function startGuestctl(
  args: readonly string[],
  options: GuestctlOptions = {},
  read = true,
): RunningGuestctl {
  const child = spawn(process.execPath, [GUESTCTL, ...args], {
    env: {
      PATH: process.env.PATH,
      ...(options.connect === undefined ? {} : { GUESTCTL_CONNECT: options.connect }),
      ...options.env,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  let grown = Promise.withResolvers<void>()
  if (read) {
    child.stdout.on('data', (chunk: Buffer) => {
      stdout.push(chunk)
      grown.resolve()
      grown = Promise.withResolvers()
    })
  }
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))

  const ended = async (): Promise<Ended> => {
    // A pipe that is not read never closes.
    const [code, signal] = await once(child, read ? 'close' : 'exit')
    const out = Buffer.concat(stdout)
    const err = Buffer.concat(stderr)
    return {
      code: code ?? `killed by ${signal}`,
      stdout: out,
      stderr: err,
      out: out.toString(),
      err: err.toString(),
    }
  }

  const untilOutput = async (text: string): Promise<void> => {
    while (!Buffer.concat(stdout).includes(text)) {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${stderr}`)
      await Promise.race([grown.promise, once(child, 'close')])
    }
  }

  return { child, stdin: child.stdin, stdout: child.stdout, untilOutput, ended: ended() }
}
