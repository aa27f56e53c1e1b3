/** A guestd that a test starts and ends by itself, at any moment of its start. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeScratch } from './scratch.ts'

const { GUESTD_TEST_DIST } = process.env
const DAEMON = join(GUESTD_TEST_DIST ?? join(import.meta.dirname, '../../dist'), 'guestd.js')
/** Far above any normal end. */
const LIMIT_MS = 60_000

export interface RawOptions {
  /** Settings, as in a settings file, above the usual ones. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string>>
  /** Of node; `null` runs guestd by its first line. */
  readonly nodeArgs?: readonly string[] | null
  /** A program and its arguments that becomes guestd by exec. */
  readonly wrap?: readonly string[]
  /** The folder of an earlier one, to start on its state. */
  readonly dir?: string
  /** The leader of a process group, as a shell makes it. */
  readonly ownGroup?: boolean
}

export interface RawGuestd {
  readonly dir: string
  readonly socketPath: string
  readonly child: ChildProcess
  readonly pid: number
  /** What it wrote to stdout and stderr so far. */
  output(): string
  /** Resolves once it has ended and all of its output is read. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
}

/** Starts guestd and does not wait. What is left of it after a minute, or at the end of the test, is killed. */
export function spawnGuestd(
  t: { teardown(undo: () => unknown): void },
  options: RawOptions = {},
): RawGuestd {
  const dir = options.dir ?? makeScratch(t)
  const socketPath = join(dir, 'api.sock')
  const workspace = join(dir, 'workspace')
  const settings = join(dir, 'config.json')
  mkdirSync(workspace, { recursive: true })
  const usual = { listen: [`unix:${socketPath}`], workspace, runDir: join(dir, 'run') }
  writeFileSync(settings, JSON.stringify({ ...usual, ...options.config }))
  const { nodeArgs = ['--disable-sigusr1'] } = options
  const program = nodeArgs === null ? [DAEMON] : [process.execPath, ...nodeArgs, DAEMON]
  const [first = '', ...args] = [...(options.wrap ?? []), ...program, '--config', settings]
  const child = spawn(first, args, {
    env: { PATH: `${dirname(process.execPath)}:${process.env.PATH}`, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: options.ownGroup ?? false,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
  const ended = once(child, 'close').then(([code, signal]) => {
    clearTimeout(timer)
    return { code, signal }
  })
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  })
  return { dir, socketPath, child, pid: child.pid ?? -1, output: () => output, ended }
}
