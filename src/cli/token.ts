/** Finds the token of guestd. */

import { messageOf } from '../util/message-of.ts'
import { readSecretFile } from '../util/secret-file.ts'
import { UsageError } from './command-spec.ts'

/**
 * `--token-file` comes before `GUESTCTL_TOKEN`, and that before `GUESTCTL_TOKEN_FILE`. There is no option for the
 * token itself, because every process can read the arguments of others.
 *
 * @param file value of `--token-file`
 * @throws UsageError if the file cannot be read, is open to other users, or has no token
 */
export function tokenOption(
  file: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): { readonly token?: string } {
  if (file === undefined && env.GUESTCTL_TOKEN) return checked(env.GUESTCTL_TOKEN, 'GUESTCTL_TOKEN')
  const path = file ?? env.GUESTCTL_TOKEN_FILE
  if (path === undefined || path === '') return {}
  try {
    return checked(readSecretFile(path), path)
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`the token file ${path} cannot be used: ${messageOf(error)}`)
  }
}

/** A header cannot have other characters. */
function checked(text: string, from: string): { readonly token: string } {
  const token = text.trim()
  if (!/^[!-~]+$/.test(token)) throw new UsageError(`${from} has no token`)
  return { token }
}
