/** Checks the number of operands. */

import { type Arguments, UsageError } from './command-spec.ts'

export function noOperands({ operands }: Arguments): void {
  if (operands.length > 0) throw new UsageError(`'${operands[0]}' is one argument too many`)
}

export function oneId({ operands }: Arguments): string {
  const [id, extra] = operands
  if (id === undefined || id === '') throw new UsageError('the ID of a command is missing')
  if (extra !== undefined) throw new UsageError(`'${extra}' is one argument too many`)
  return id
}
