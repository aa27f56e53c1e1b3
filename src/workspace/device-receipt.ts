/** The receipt of a volume, with what only the caller knows left at zero. */
import type { Receipt } from '../protocol/schemas.ts'
import type { Volume } from './types.ts'

/** @param volume `null`: nothing is mounted */
export function volumeReceipt(
  volume: Volume | null,
  outcome: Receipt['outcome'],
  errors: readonly string[],
): Receipt {
  return {
    at: new Date().toISOString(),
    generation: volume?.history.generation ?? null,
    device: volume?.device.path ?? null,
    outcome,
    dirtyBytes: 0,
    flushMs: 0,
    ms: 0,
    errorsSince: volume?.errorsSince ?? 'mount',
    errors: [...errors],
    heldBy: null,
    clean: errors.length === 0,
  }
}
