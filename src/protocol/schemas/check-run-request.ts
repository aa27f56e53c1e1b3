/** The rules of a run request that JSON Schema cannot say. */

import { GuestdError } from '../../errors.ts'
import {
  MAX_ARG_BYTES,
  MAX_COMMAND_BYTES,
  MAX_EXEC_BYTES,
  MAX_PATH_BYTES,
  MAX_USER_BYTES,
} from './parts.ts'
import type { RunRequest } from './request-schemas.ts'
import type { SessionRequest } from './session-request.ts'

/**
 * Checks a body that already has the shape of {@link RunRequest}.
 *
 * Exactly one of `command` and `argv`; a program that is not empty; no NUL in anything that becomes
 * a C string; names that an environment can hold; at most 1 MiB of script and 128 KiB less one byte
 * of any one argument or `NAME=value` (execve(2), MAX_ARG_STRLEN), in bytes of UTF-8; argv and env
 * together at most {@link MAX_EXEC_BYTES}; paths and names as long as the system takes them.
 *
 * @throws GuestdError `invalid_request` with the field, nested ones with dots (`argv.1`, `env.PATH`)
 */
export function checkRunRequest(body: RunRequest): void {
  if ((body.command === undefined) === (body.argv === undefined)) {
    throw refuse('command', 'exactly one of command and argv is required')
  }
  if (body.command !== undefined) checkCommand(body.command)
  const argvBytes = body.argv === undefined ? 0 : checkArgv(body.argv)
  if (body.env !== undefined) checkEnv(body.env, argvBytes)
  if (body.cwd !== undefined) {
    checkCString('cwd', body.cwd)
    checkBytes('cwd', body.cwd, MAX_PATH_BYTES)
  }
  if (typeof body.user === 'string') {
    checkCString('user', body.user)
    checkBytes('user', body.user, MAX_USER_BYTES)
  }
}

/**
 * The same of a hand-over: the environment is one that commands can have.
 *
 * @throws GuestdError `invalid_request`
 */
export function checkSessionRequest({ env }: SessionRequest): void {
  if (env !== undefined) checkEnv(env, 0)
}

function checkCommand(command: string): void {
  if (command === '') throw refuse('command', 'command is empty')
  checkCString('command', command)
  checkBytes('command', command, MAX_COMMAND_BYTES)
}

/** What execve(2) counts for a string beside its bytes: a NUL and a pointer. */
const STRING_OVERHEAD_BYTES = 9

/** @returns what execve(2) counts for it, in bytes */
function checkArgv(argv: readonly string[]): number {
  if (argv.length === 0 || argv[0] === '') throw refuse('argv', 'argv names no program')
  let total = 0
  for (const [index, argument] of argv.entries()) {
    checkCString(`argv.${index}`, argument)
    total += checkBytes(`argv.${index}`, argument, MAX_ARG_BYTES) + STRING_OVERHEAD_BYTES
    if (total > MAX_EXEC_BYTES) throw refuse('argv', `argv has more than ${MAX_EXEC_BYTES} bytes`)
  }
  return total
}

/** @param taken bytes of argv, which share the limit of execve(2) */
function checkEnv(env: Readonly<Record<string, string>>, taken: number): void {
  let total = taken
  for (const [name, value] of Object.entries(env)) {
    if (name === '') throw refuse('env', 'the name of a variable is empty')
    if (name.includes('=')) throw refuse('env', 'the name of a variable has "=" in it')
    checkCString('env', name)
    checkCString(`env.${name}`, value)
    total += checkBytes(`env.${name}`, `${name}=${value}`, MAX_ARG_BYTES) + STRING_OVERHEAD_BYTES
    if (total > MAX_EXEC_BYTES)
      throw refuse('env', `argv and env have more than ${MAX_EXEC_BYTES} bytes`)
  }
}

function checkCString(field: string, text: string): void {
  if (text.includes('\0')) throw refuse(field, `${field} has a NUL byte in it`)
}

/** @returns the length in bytes */
function checkBytes(field: string, text: string, max: number): number {
  const bytes = Buffer.byteLength(text)
  if (bytes > max) throw refuse(field, `${field} has ${bytes} bytes; at most ${max} are allowed`)
  return bytes
}

function refuse(field: string, detail: string): GuestdError {
  return new GuestdError('invalid_request', detail, { field })
}
