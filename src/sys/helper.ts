/**
 * guestd-helper: a small program that makes system calls which may hang on a dead disk. A call that does not return
 * blocks that process, never the daemon.
 */
import { fileURLToPath } from 'node:url'
import { errorCode } from '../util/error-code.ts'

/** The C files of `native/helper/` document the commands. */
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
  /** In milliseconds. Then the helper is killed; it is abandoned when it does not die. */
  readonly limitMs: number
  /** The helper gets it as descriptor 3. */
  readonly fd?: number
  /** Its standard input. Default: empty. */
  readonly input?: Uint8Array
  /** Kills it when it is aborted. */
  readonly signal?: AbortSignal
}

/** A system call of the helper has failed, or has not returned: `errno` is then ETIMEDOUT. */
export class HelperError extends Error {
  override readonly name = 'HelperError'
  readonly call: string
  readonly errno: string
  /** Its standard output so far. */
  readonly printed: Buffer

  constructor(call: string, errno: string, text: string, printed: Buffer = Buffer.alloc(0)) {
    super(`${call}: ${text} (${errno})`)
    this.call = call
    this.errno = errno
    this.printed = printed
  }
}

/**
 * Runs a command of the helper and returns its standard output.
 *
 * @throws HelperError
 */
export async function runHelper(
  command: HelperCommand,
  args: readonly string[],
  { limitMs, fd, input, signal }: HelperOptions,
): Promise<Buffer> {
  // Loaded at the first use, because a daemon without a device never needs it.
  const { spawn } = await import('node:child_process')
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const child = spawn(HELPER_PROGRAM, [command, ...args], {
    cwd: '/',
    env: {},
    // Ctrl-C in a terminal must not interrupt a mount.
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
  child.once('error', error =>
    reject(new HelperError('spawn', errorCode(error) || 'EUNKNOWN', error.message)),
  )
  child.once('close', (code, signal) => {
    if (code === 0) resolve(out())
    else reject(failureOf(command, err().toString('utf8'), code, signal))
  })
  // A helper that has failed does not read its input; its exit code is enough.
  child.stdin?.on('error', () => {}).end(input)
  const timer = setTimeout(() => {
    child.kill('SIGKILL')
    // In uninterruptible sleep it dies later, or never.
    child.stdout?.destroy()
    child.stderr?.destroy()
    child.unref()
    const text = `it did not return within ${limitMs} ms`
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
/** Beside the bundle; in `dist/` when guestd runs from the source tree. */
export const HELPER_PROGRAM = fileURLToPath(
  new URL(
    import.meta.url.endsWith('/src/sys/helper.ts') ? `../../dist/${NAME}` : `./${NAME}`,
    import.meta.url,
  ),
)
/** Each command prints less. The largest output is a little more than 1 MiB. */
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

/** Parses "CALL ERRNO text". */
function failureOf(
  command: string,
  text: string,
  code: number | null,
  signal: string | null,
): HelperError {
  const [, call = command, errno = 'EUNKNOWN', words] = /^(\S+) (E\S+) (.*)/.exec(text) ?? []
  return new HelperError(call, errno, words ?? `it ended with ${signal ?? code}`)
}
