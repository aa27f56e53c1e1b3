/** Explains why a command ended, if its exit code alone does not say it. */

import type { RunRequest } from '../client/index.ts'
import type { ExitFacts } from '../protocol/frames.ts'
import { exitCodeOf, exitCodes } from './exit-code.ts'
import { printable } from './text-table.ts'

/** The fields of the request that an explanation names. */
export type Asked = Pick<RunRequest, 'argv' | 'cwd' | 'user'>

/** A sentence, or null for a command that exited or got a signal from another process. */
export function explainEnd(facts: ExitFacts, asked: Asked): string | null {
  switch (facts.cause) {
    case 'exit':
    case 'signal':
      return null
    case 'timeout':
      return 'the command was ended because its time limit passed'
    case 'oom':
      return oomTexts[facts.oomScope ?? 'unknown']
    case 'quota':
      return 'guestd ended the command because the workspace is full'
    case 'killed':
      return 'the command was killed'
    case 'stopped':
      return 'guestd stopped, and the command with it'
    case 'disconnected':
      return 'guestd ended the command because its reader was gone'
    case 'lost':
      return 'guestd was killed while the command ran: how it ended is not known'
    case 'spawn':
      return explainSpawn(facts, asked)
  }
}

const oomTexts = {
  command: 'the command was killed because it reached its memory limit: give it more with --memory',
  machine:
    'the command was killed because the machine ran out of memory: give the machine more, or run less at once',
  unknown: 'the command was killed because memory ran out',
}

function explainSpawn(facts: ExitFacts, { argv, cwd, user }: Asked): string {
  const failure = `${facts.stage} failed with ${facts.errno}`
  if (facts.stage === 'chdir' && facts.errno === 'EACCES') {
    const who = user === undefined ? "the command's user" : `user ${user}`
    return `${who} may not enter ${cwd ?? 'the workspace'}: ${failure}`
  }
  const name = argv?.[0] === undefined ? 'the command' : `the command '${argv[0]}'`
  if (facts.interpreter !== null) return explainInterpreter(name, facts.interpreter, failure)
  const isNotFound = exitCodeOf(facts) === exitCodes.notFound
  return `${name} ${isNotFound ? 'was not found' : 'cannot be executed'}: ${failure}`
}

/** If the line ends with CRLF, the carriage return is part of the name. */
function explainInterpreter(name: string, interpreter: string, failure: string): string {
  const why = interpreter.endsWith('\r')
    ? ': its first line ends with CRLF; save it with LF line ends'
    : ''
  return `${name} needs the interpreter '${escaped(interpreter)}', which was not found${why} (${failure})`
}

/** Escapes control characters as JSON does, because a terminal acts on them. */
function escaped(text: string): string {
  return printable(
    JSON.stringify(text)
      .slice(1, -1)
      .replace(/\\"/g, '"')
      .replace(/[\x7f-\x9f]/g, '?'),
  )
}
