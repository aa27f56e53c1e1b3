import type { Receipt } from '../protocol/schemas.ts'
import type { Volume } from './types.ts'

/** A receipt of now, whose amounts and times are 0. */
export function newReceipt(
  facts: Pick<Receipt, 'generation' | 'device' | 'errorsSince' | 'outcome'>,
  errors: readonly string[],
): Receipt {
  return {
    at: new Date().toISOString(),
    ...facts,
    dirtyBytes: 0,
    flushMs: 0,
    ms: 0,
    errors: [...errors],
    heldBy: null,
    clean: errors.length === 0,
  }
}

/** @param volume `null`: nothing is mounted */
export function volumeReceipt(
  volume: Volume | null,
  outcome: Receipt['outcome'],
  errors: readonly string[],
): Receipt {
  const facts = {
    generation: volume?.history.generation ?? null,
    device: volume?.device.path ?? null,
    errorsSince: volume?.errorsSince ?? 'mount',
    outcome,
  } as const
  return newReceipt(facts, errors)
}
