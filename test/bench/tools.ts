/** The C programs of the bench: compiled when it starts, run one at a time. */
import { mkdir } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'

const SOURCES = join(import.meta.dirname, 'c')
const PROGRAMS = ['spawn', 'request', 'sink', 'readers', 'cgkill', 'ping', 'vsock-echo'] as const
export type Program = (typeof PROGRAMS)[number]

const { username, homedir, shell } = userInfo()

/** What a command of guestd finds in its environment: what bash meets there is part of its cost. */
const COMMAND_ENV = {
  HOME: homedir,
  LANG: 'C.UTF-8',
  LOGNAME: username,
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  SHELL: shell ?? '/bin/sh',
  USER: username,
}

export interface Tools {
  path(program: Program): string
  /**
   * Runs it to its end. Its stdin is /dev/null without input: a bash whose stdin is a socket, as
   * Node makes it, takes itself for rshd's and reads ~/.bashrc (bash(1), INVOCATION).
   *
   * @returns its stdout. @throws with its stderr when it fails
   */
  run(program: Program, words: readonly (string | number)[], input?: string): Promise<string>
}

/** What `spawn` and `request` print. */
export interface Crew {
  /** How long each run took, in milliseconds. */
  readonly times: readonly number[]
  /** All runs together, a second. */
  readonly perSecond: number
}

/** Linked statically, so that they run in a guest as they do here. */
export async function buildTools(folder: string): Promise<Tools> {
  await mkdir(folder, { recursive: true })
  const path = (program: Program) => join(folder, program)
  const flags = ['-O2', '-Wall', '-Wextra', '-Werror', '-static', '-pthread']
  for (const program of PROGRAMS)
    await execa('gcc', [...flags, '-o', path(program), join(SOURCES, `${program}.c`)])
  return { path, run: (program, words, input) => runToEnd(path(program), words, input) }
}

export function parseCrew(printed: string): Crew {
  const lines = printed.trim().split('\n')
  const wallNs = Number(lines.pop()?.replace('wall ', ''))
  const times = lines.map(line => Number(line) / 1e6)
  return { times, perSecond: (times.length / wallNs) * 1e9 }
}

async function runToEnd(
  file: string,
  words: readonly (string | number)[],
  input: string | undefined,
): Promise<string> {
  const stdin = input === undefined ? ({ stdin: 'ignore' } as const) : { input }
  const { stdout } = await execa(file, words.map(String), {
    ...stdin,
    env: COMMAND_ENV,
    extendEnv: false,
  })
  return stdout
}
