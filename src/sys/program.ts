/** Runs a program to its end, and keeps what it said within bounds. */

export interface Ran {
  /** -1: it was ended by a signal, as when its time is over. */
  readonly status: number
  /** Both streams as they came; of a long one the beginning and the end. */
  readonly text: string
}

/** Kept of each end of what a program says, in bytes. What is between is read and let go. */
const KEPT_BYTES = 32 * 1024
/** A program that repairs something comes to a good end at SIGTERM (e2fsck does); one that hangs does not. */
const GRACE_MS = 60_000

export interface ProgramOptions {
  readonly path: string
  readonly limitMs: number | null
  readonly ownSession?: boolean
  readonly cancel?: AbortSignal
}

/**
 * It is never ended for what it says: a repair that is cut short leaves more harm than it found.
 *
 * @param options.limitMs after it comes SIGTERM, and a minute later SIGKILL; `null`: there is no limit
 * @param options.ownSession a terminal's Ctrl-C, and a signal to the group of its parent, do not reach it
 * @param options.cancel aborted, it has the same effect as the limit
 * @returns `null` where the program is not installed
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  { path, limitMs, ownSession = false, cancel }: ProgramOptions,
): Promise<Ran | null> {
  // Loaded at the first use: it costs the start of a daemon that has no device nothing.
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
        if ('code' in error && error.code === 'ENOENT') resolve(null)
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
