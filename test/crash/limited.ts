/** Programs that end in time: a checker on a broken tree may run for ever. */
import { execFile } from 'node:child_process'

export interface Ran {
  /** `null`: it was ended, by its limit or a signal. */
  readonly status: number | null
  /** Both streams. */
  readonly text: string
}

const LIMIT_MS = 60_000
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024

/** @throws Error where there is no such program */
export function runLimited(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const options = {
      env: { ...process.env, ...env },
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_OUTPUT_BYTES,
    } as const
    execFile(program, args, options, (error, stdout, stderr) => {
      const text = `${stdout}${stderr}`.trim()
      if (error === null) resolve({ status: 0, text })
      else if (error.code === 'ENOENT') reject(error)
      else resolve({ status: typeof error.code === 'number' ? error.code : null, text })
    })
  })
}

/** The output of a program that must succeed. @throws Error with what it said */
export async function runSound(
  program: string,
  args: readonly string[],
  env?: Readonly<Record<string, string>>,
): Promise<string> {
  const { status, text } = await runLimited(program, args, env)
  if (status === 0) return text
  const how = status === null ? 'did not end in time' : `exit code ${status}`
  throw new Error(`${program} ${args.join(' ')}: ${how}: ${text.slice(0, MAX_WORDS)}`)
}

const MAX_WORDS = 600
