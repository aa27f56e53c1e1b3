/**
 * What is kept of an ended command, for as long as it can be read: a thousand of them are to cost little
 * beside what they wrote.
 */
import { GuestdError } from '../errors.ts'
import { describe } from './info.ts'
import type { Life } from './life.ts'
import type { Output } from './output.ts'
import { createOutputLog } from './output-log.ts'
import { createReader } from './reader.ts'
import { createStdin } from './stdin.ts'
import type { Command, CommandStdin } from './types.ts'

export interface Ended {
  readonly life: Life
  readonly endedAt: string
  readonly commandLine: string
  readonly request: Command['request']
  readonly proof: 'cgroup' | 'group'
  /** Bytes that ever entered the log, of each stream and in all. */
  readonly stdoutBytes: number
  readonly stderrBytes: number
  readonly cursor: number
  /** Of one that had a pipe: who repeats its last write is told what was accepted. */
  readonly stdin: CommandStdin | null
  /** `null`: none of what it wrote is held, and all of it is a gap. */
  readonly output: Pick<Output, 'attach' | 'discard' | 'log'> | null
}

/** The command as the API sees it, made anew for each look. */
export function viewOf(ended: Ended): Command {
  const { life, cursor, output, request, proof, stdoutBytes, stderrBytes } = ended
  const { id } = life
  return {
    id,
    state: 'ended',
    isComplete: true,
    request,
    stdin: ended.stdin ?? createStdin(null),
    attach(options) {
      if (output !== null) return output.attach(options, nothing)
      // How much a lost one had written is not known: whoever reads it was told all.
      const lost = life.exit?.facts.cause === 'lost'
      const log = createOutputLog(0, lost ? options.cursor : cursor)
      return createReader(log, life, options, null, unheard)
    },
    signal() {
      throw new GuestdError('command_ended', `the command ${id} has ended`)
    },
    kill: () => Promise.resolve({ id, empty: true, proof, moved: [] }),
    info: () => ({
      ...describe({
        life,
        log: output?.log ?? createOutputLog(0, cursor),
        descendants: 0,
        commandLine: ended.commandLine,
        detach: request.detach,
        endedAt: ended.endedAt,
        proof,
        usage: null,
      }),
      stdoutBytes,
      stderrBytes,
    }),
  }
}

const nothing = () => {}
const unheard = { advanced: nothing, finished: nothing, cut: nothing, closed: nothing }
