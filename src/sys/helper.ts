/**
 * guestd-helper: our own small program that makes the system calls which may hang on a dead disk.
 * A call that does not come back holds that process, never the daemon.
 */
import { fileURLToPath } from 'node:url'

/** What each command does stands in the C files of `native/helper/`. */
export type HelperCommand =
  | 'read-head'
  | 'read-tail'
  | 'open-exclusive'
  | 'mount'
  | 'remount'
  | 'probe'
  | 'unmount'
  | 'sync'
  | 'shutdown'
  | 'trim'
  | 'read-mark'
  | 'write-mark'
  | 'is-locked'
  | 'power'
  | 'attach'
  | 'detach'
  | 'loops'
  | 'usage'
  | 'largest'
  | 'stats'
  | 'own'
  | 'release'
  | 'backed'
  | 'drain'
  | 'ipc'
  | 'clear'

export interface HelperOptions {
  /** In milliseconds: then the helper is killed, or, where it cannot be, left behind. */
  readonly limitMs: number
  /** Becomes its descriptor 3. */
  readonly fd?: number
  /** Its standard input; else that is empty. */
  readonly input?: Uint8Array
  /** Kills it: nobody waits for what it does any more. */
  readonly signal?: AbortSignal
}

/** A system call of the helper failed, or did not come back: `errno` is then ETIMEDOUT. */
export class HelperError extends Error {
  override readonly name = 'HelperError'
  readonly call: string
  readonly errno: string
  /** What it wrote to its standard output until then. */
  readonly printed: Buffer

  constructor(call: string, errno: string, text: string, printed: Buffer = Buffer.alloc(0)) {
    super(`${call}: ${text} (${errno})`)
    this.call = call
    this.errno = errno
    this.printed = printed
  }
}

/**
 * Runs one command of it and gives what it printed.
 *
 * @throws HelperError
 */
export async function runHelper(
  command: HelperCommand,
  args: readonly string[],
  { limitMs, fd, input, signal }: HelperOptions,
): Promise<Buffer> {
  // Loaded at the first use: it costs the start of a daemon that has no device nothing.
  const { spawn } = await import('node:child_process')
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const child = spawn(HELPER_PROGRAM, [command, ...args], {
    cwd: '/',
    env: {},
    // A terminal's Ctrl-C must not cut a mount short.
    detached: true,
    stdio: [
      input === undefined ? 'ignore' : 'pipe',
      'pipe',
      'pipe',
      ...(fd === undefined ? [] : [fd]),
    ],
  })
  const kill = () => child.kill('SIGKILL')
  signal?.addEventListener('abort', kill)
  const out = gather(child.stdout)
  const err = gather(child.stderr)
  child.once('error', error => reject(new HelperError('spawn', codeOf(error), error.message)))
  child.once('close', (code, signal) => {
    if (code === 0) resolve(out())
    else reject(failureOf(command, err().toString('utf8'), code, signal))
  })
  // A helper that has failed reads no more: its exit tells.
  child.stdin?.on('error', () => {}).end(input)
  const timer = setTimeout(() => {
    child.kill('SIGKILL')
    // In uninterruptible sleep it dies later, or never: nobody waits for it.
    child.stdout?.destroy()
    child.stderr?.destroy()
    child.unref()
    const text = `it did not come back in ${limitMs} ms`
    reject(new HelperError(command, 'ETIMEDOUT', text, out()))
  }, limitMs)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', kill)
  }
}

const NAME = 'guestd-helper'
/** Beside the bundle, or, when run from the source tree, where the build leaves it. */
export const HELPER_PROGRAM = fileURLToPath(
  new URL(
    import.meta.url.endsWith('/src/sys/helper.ts') ? `../../dist/${NAME}` : `./${NAME}`,
    import.meta.url,
  ),
)
/** Above what any command prints: a little more than 1 MiB. */
const MAX_OUTPUT_BYTES = 2 * 1024 * 1024

function gather(stream: NodeJS.ReadableStream | null): () => Buffer {
  const chunks: Buffer[] = []
  let held = 0
  stream?.on('data', (chunk: Buffer) => {
    held += chunk.length
    if (held <= MAX_OUTPUT_BYTES) chunks.push(chunk)
  })
  return () => Buffer.concat(chunks)
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : 'EUNKNOWN'
}

/** "CALL ERRNO text" */
function failureOf(
  command: string,
  text: string,
  code: number | null,
  signal: string | null,
): HelperError {
  const [, call = command, errno = 'EUNKNOWN', words] = /^(\S+) (E\S+) (.*)/.exec(text) ?? []
  return new HelperError(call, errno, words ?? `it ended with ${signal ?? code}`)
}
