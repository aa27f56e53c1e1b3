/** The stop of the session survives a restart of guestd: the host may have given the volume to another machine. */
import * as Type from 'typebox'
import type { Receipt, StopReason } from '../protocol/schemas.ts'
import { bootFile } from './boot-file.ts'

export interface EndedStop {
  readonly reason: StopReason
  readonly receipt: Receipt
}

export interface StopMemory {
  /** The stop of this boot that still counts; `null`: none. */
  readonly ended: EndedStop | null
  /**
   * Call it before the receipt is sent. A stop by a signal is not stored: the next guestd continues the session.
   *
   * @throws if it cannot be written
   */
  remember(stop: EndedStop): void
  /** The host starts the session again. @throws if the file cannot be removed */
  forget(): void
  /** Writes it again, after `runDir` was lost. @throws if it cannot be written */
  save(): void
}

const FILE = 'stop.json'

const StoredStop = Type.Object({
  reason: Type.String(),
  receipt: Type.Object({ at: Type.String(), clean: Type.Boolean() }),
})

/** @param bootId a stop of an earlier boot does not count */
export function openStopMemory(runDir: string, bootId: string): StopMemory {
  const file = bootFile<EndedStop>(runDir, FILE, bootId, StoredStop)
  const stored = file.read()
  return {
    ended: stored,
    remember(stop) {
      if (stop.reason !== 'signal') file.write(stop)
    },
    forget: file.forget,
    save: file.save,
  }
}
