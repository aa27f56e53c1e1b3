/** A stop is remembered over a restart of guestd: the host may have given the volume to another machine. */
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
   * To be called before anybody has the receipt. A stop by a signal ends guestd alone: the next one goes on.
   *
   * @throws where it cannot be written
   */
  remember(stop: EndedStop): void
  /** The host starts the session again. @throws where it cannot be written */
  forget(): void
  /** Writes it once more, as after the folder was lost. @throws where it cannot be written */
  save(): void
}

const FILE = 'stop.json'

const StoredStop = Type.Object({
  reason: Type.String(),
  receipt: Type.Object({ at: Type.String(), clean: Type.Boolean() }),
})

/** @param bootId a stop of an earlier boot does not count in this one */
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
