/** Runs the programs of e2fsprogs and util-linux that look at devices and change them. */

export interface Ran {
  /** -1: it was ended by a signal, as when its time is over. */
  readonly status: number
  /** What it said, both streams in one line, for people. */
  readonly text: string
}

const MAX_OUTPUT_BYTES = 64 * 1024
const MAX_WORDS_CHARACTERS = 300

/** @returns `null` where the program is not installed */
export async function runTool(
  program: 'e2fsck' | 'mke2fs' | 'wipefs',
  args: readonly string[],
  limitMs: number,
): Promise<Ran | null> {
  const { execFile } = await import('node:child_process')
  const { promise, resolve } = Promise.withResolvers<Ran | null>()
  const options = {
    timeout: limitMs,
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT_BYTES,
    env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' },
  } as const
  execFile(program, args, options, (error, stdout, stderr) => {
    const text = `${stdout}${stderr}`.trim().split('\n').join('; ').slice(0, MAX_WORDS_CHARACTERS)
    if (error === null) return resolve({ status: 0, text })
    if (error.code === 'ENOENT') return resolve(null)
    const status = typeof error.code === 'number' ? error.code : -1
    resolve({ status, text: text || error.message })
  })
  return await promise
}
