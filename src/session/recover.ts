/** Mending a volume that was not left clean, before it is mounted. */
import { unavailable } from './unavailable.ts'

/** e2fsck(8): what was found was mended; a restart of the machine is only for a mounted root. */
const CORRECTED = 1
const CORRECTED_REBOOT = 2
/** A whole check of a large volume takes minutes. */
const CHECK_LIMIT_MS = 600_000
const MAX_OUTPUT_BYTES = 64 * 1024
const MAX_WORDS_CHARACTERS = 300

/**
 * Runs `e2fsck -p`, which replays the journal and mends what is safe to mend.
 *
 * @returns what was done, for people
 * @throws GuestdError `workspace_unavailable` for what only a person can mend
 */
export async function recoverVolume(device: string): Promise<string> {
  const { execFile } = await import('node:child_process')
  const { promise, resolve } = Promise.withResolvers<{ status: number; text: string }>()
  const options = {
    timeout: CHECK_LIMIT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: MAX_OUTPUT_BYTES,
  } as const
  const env = { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' }
  execFile('e2fsck', ['-p', device], { ...options, env }, (error, stdout, stderr) => {
    const text = `${stdout}${stderr}`.trim().split('\n').join('; ').slice(0, MAX_WORDS_CHARACTERS)
    if (error === null) return resolve({ status: 0, text })
    if (error.code === 'ENOENT') return resolve({ status: 0, text: 'journal replay by the kernel' })
    resolve({
      status: typeof error.code === 'number' ? error.code : -1,
      text: text || error.message,
    })
  })
  const { status, text } = await promise
  if (status === 0 || status === CORRECTED || status === CORRECTED_REBOOT)
    return `e2fsck -p: ${text}`
  throw unavailable(`${device} cannot be mended by e2fsck -p (exit code ${status}): ${text}`)
}
