/** The rules of a run request that JSON Schema cannot express. */

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
 * Exactly one of `command` and `argv`; a program that is not empty; no NUL in a string that
 * becomes a C string; valid names of variables; the limits of `parts.ts`, in bytes of UTF-8.
 *
 * @throws GuestdError `invalid_request` with the field, such as `cwd`, `argv.1` or `env.PATH`
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

/** Checks that commands can have the environment of a session. @throws GuestdError `invalid_request` */
export function checkSessionRequest({ env }: SessionRequest): void {
  if (env !== undefined) checkEnv(env, 0)
}

function checkCommand(command: string): void {
  if (command === '') throw refuse('command', 'command is empty')
  checkCString('command', command)
  checkBytes('command', command, MAX_COMMAND_BYTES)
}

/** execve(2) counts a NUL and a pointer for each string, beside its bytes. */
const STRING_OVERHEAD_BYTES = 9

/** @returns the size of argv as execve(2) counts it, in bytes */
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

/** @param argvBytes size of argv, which shares the limit */
function checkEnv(env: Readonly<Record<string, string>>, argvBytes: number): void {
  let total = argvBytes
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
