/** The facts of an exit, with `null` for all that does not apply or is not known. */
import type { ExitFacts } from '../protocol/frames.ts'

/** What `inspect` shows while a command runs. */
export const noExit = {
  exitCode: null,
  signal: null,
  cause: null,
  stage: null,
  errno: null,
  interpreter: null,
  oomScope: null,
  workspaceFull: null,
  durationMs: null,
  cpuMs: null,
  maxRssBytes: null,
}

export function exitFacts(
  known: Pick<ExitFacts, 'cause' | 'durationMs'> & Partial<ExitFacts>,
): ExitFacts {
  return { ...noExit, ...known }
}
