/** The facts of an exit, with `null` for every fact that does not apply or is not known. */
import { type ExitFacts, exitFields } from '../protocol/schemas/frame-schema.ts'

/** What `inspect` shows while a command runs. */
export const noExit = Object.fromEntries(Object.keys(exitFields).map(name => [name, null])) as {
  readonly [Name in keyof ExitFacts]: null
}

/** The names of the facts that are never null. */
type RequiredFact = {
  [Name in keyof ExitFacts]: null extends ExitFacts[Name] ? never : Name
}[keyof ExitFacts]

export function exitFacts(known: Pick<ExitFacts, RequiredFact> & Partial<ExitFacts>): ExitFacts {
  return { ...noExit, ...known }
}
