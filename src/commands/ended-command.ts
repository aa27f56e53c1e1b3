/**
 * What is kept of an ended command for as long as it can be read. It is small: there can be a thousand of them, and
 * the memory is for their output.
 */
import { GuestdError } from '../errors.ts'
import { describe } from './command-info.ts'
import type { Output } from './command-output.ts'
import type { Life } from './life.ts'
import { createOutputLog } from './output-log.ts'
import { createReader } from './reader.ts'
import { createStdin } from './stdin-pipe.ts'
import type { AttachOptions, Command, CommandStdin, FrameReader } from './types.ts'

export interface Ended {
  readonly life: Life
  readonly commandLine: string
  readonly request: Command['request']
  readonly proof: 'cgroup' | 'group'
  /** Bytes that ever entered the log, of each stream and in all. */
  readonly stdoutBytes: number
  readonly stderrBytes: number
  readonly cursor: number
  /** Of a command that had a pipe: a client that repeats its last write learns what was accepted. */
  readonly stdin: CommandStdin | null
  /** false: an earlier guestd may have sent bytes after `cursor`, which its journal does not have. */
  readonly isEndKnown: boolean
  /** `null`: none of its output is held, and all of it is a gap. */
  readonly output: Pick<Output, 'attach' | 'discard' | 'log'> | null
}

/** The command as the API sees it, made anew for each call. */
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
      if (!ended.isEndKnown) return attachPastEnd(life, cursor, options)
      return createReader(createOutputLog(0, cursor), life, options, null, unheard)
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
        proof,
        usage: null,
      }),
      stdoutBytes,
      stderrBytes,
    }),
  }
}

/**
 * A reader that had read further than the journal knows continues from its cursor. It gets `exit` unless it has had
 * that event: the place of `exit` in the log is not known either.
 */
function attachPastEnd(life: Life, cursor: number, options: AttachOptions): FrameReader {
  const { seen, ...others } = options
  const log = createOutputLog(0, Math.max(cursor, options.cursor))
  return createReader(log, life, seen === 'output' ? others : options, null, unheard)
}

const nothing = () => {}
const unheard = { advanced: nothing, finished: nothing, cut: nothing, closed: nothing }
