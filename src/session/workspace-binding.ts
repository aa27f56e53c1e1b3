/** Binds what is kept in `runDir` to one workspace: with another one, it is the state of another session. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { Identity, identityOf, isSameWorkspace } from '../workspace/identity.ts'
import { bootFile } from './boot-file.ts'

export interface Binding {
  /** What was kept belongs to another workspace; the files of its session are removed. */
  readonly isForeign: boolean
  /** Notes which workspace it is now, where that is known. Never fails. */
  note(): Promise<void>
  /** Writes it once more, as after `runDir` was lost. @throws where it cannot be written */
  save(): void
}

const FILE = 'workspace.json'
/** What the host set, and when the session began. */
const OF_SESSION = ['session.json', 'boot.json']
/** A stop: it keeps a volume that another machine has by now from being mounted here. */
const OF_VOLUME = 'stop.json'

/** Looks at the device only where something was noted before. */
export async function openBinding(
  runDir: string,
  bootId: string,
  workspace: string,
): Promise<Binding> {
  const file = bootFile<Identity>(runDir, FILE, bootId, Identity)
  const kept = file.read()
  const now = kept === null ? null : await identityOf(workspace)
  const isForeign = kept !== null && now !== null && !isSameWorkspace(kept, now)
  if (isForeign) {
    file.forget()
    const gone = isSameVolume(kept, now) ? OF_SESSION : [...OF_SESSION, OF_VOLUME]
    for (const name of gone) rmSync(join(runDir, name), { force: true, recursive: true })
  }
  return {
    isForeign,
    async note() {
      const identity = await identityOf(workspace)
      if (identity === null) return
      try {
        file.write(identity)
      } catch {
        // The state counts for every workspace then, as it did before.
      }
    },
    save: file.save,
  }
}

/** It was started elsewhere in the meantime, or it is a copy. */
function isSameVolume(kept: Identity, now: Identity): boolean {
  return kept.kind === 'volume' && now.kind === 'volume' && kept.uuid === now.uuid
}
