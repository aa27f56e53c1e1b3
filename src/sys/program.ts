/** Runs a program and keeps a bounded part of its output. */
import { errorCode } from '../util/error-code.ts'

export interface Ran {
  /** The exit code; -1 after a signal, as at the limit. */
  readonly status: number
  /** Both streams, in order of arrival; only the beginning and the end of long output. */
  readonly text: string
}

/** Size of the kept beginning, and of the kept end, in bytes. */
const KEPT_BYTES = 32 * 1024
/** From SIGTERM to SIGKILL, in milliseconds: e2fsck ends cleanly after SIGTERM, but a program may hang. */
const GRACE_MS = 60_000

export interface ProgramOptions {
  readonly path: string
  readonly limitMs: number | null
  readonly ownSession?: boolean
  readonly cancel?: AbortSignal
}

/**
 * Runs a program until it exits. Long output does not end it: an interrupted repair damages the file system.
 *
 * @param options.limitMs then it gets SIGTERM, and a minute later SIGKILL; `null`: no limit
 * @param options.ownSession Ctrl-C in a terminal, and a signal to the process group of guestd, do not reach it
 * @param options.cancel has the effect of the limit when it is aborted
 * @returns `null` when the program is not installed
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  { path, limitMs, ownSession = false, cancel }: ProgramOptions,
): Promise<Ran | null> {
  // Loaded at the first use, because a daemon without a device never needs it.
  const { spawn } = await import('node:child_process')
  const child = spawn(program, args, {
    env: { PATH: path },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: ownSession,
  })
  const kept = createEnds()
  child.stdout.on('data', kept.add)
  child.stderr.on('data', kept.add)
  const timers: NodeJS.Timeout[] = []
  const end = () => {
    child.kill('SIGTERM')
    timers.push(setTimeout(() => child.kill('SIGKILL'), GRACE_MS))
  }
  if (limitMs !== null) timers.push(setTimeout(end, limitMs))
  cancel?.addEventListener('abort', end)
  if (cancel?.aborted) end()
  try {
    return await new Promise((resolve, reject) => {
      child.on('error', error => {
        if (errorCode(error) === 'ENOENT') resolve(null)
        else reject(error)
      })
      child.on('close', code => resolve({ status: code ?? -1, text: kept.text() }))
    })
  } finally {
    cancel?.removeEventListener('abort', end)
    for (const timer of timers) clearTimeout(timer)
  }
}

function createEnds(): { add(chunk: Buffer): void; text(): string } {
  let head = Buffer.alloc(0)
  let tail = Buffer.alloc(0)
  let left = 0
  return {
    add(chunk) {
      const room = KEPT_BYTES - head.length
      head = Buffer.concat([head, chunk.subarray(0, room)])
      const all = Buffer.concat([tail, chunk.subarray(room)])
      tail = all.subarray(Math.max(all.length - KEPT_BYTES, 0))
      left += all.length - tail.length
    },
    text() {
      const between = left === 0 ? '' : `\n… ${left} bytes …\n`
      return `${head}${between}${tail}`.trim()
    },
  }
}
