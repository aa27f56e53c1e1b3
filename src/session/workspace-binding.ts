/** Binds the state in `runDir` to one workspace. With another workspace it is the state of another session. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { Identity, identityOf, isSameWorkspace } from '../workspace/identity.ts'
import { bootFile } from './boot-file.ts'

export interface Binding {
  /** The state belongs to another workspace. The files of its session are removed. */
  readonly isForeign: boolean
  /** Records the workspace if its identity is known. Never fails. */
  note(): Promise<void>
  /** Writes it again, after `runDir` was lost. @throws if it cannot be written */
  save(): void
}

const FILE = 'workspace.json'
/** The request of the host, and the first start. */
const OF_SESSION = ['session.json', 'boot.json']
/** The stop: it prevents a mount of a volume that another machine may use by now. */
const OF_VOLUME = 'stop.json'

/** Reads the device only if a workspace was recorded before. */
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
        // Without a record the state counts for every workspace.
      }
    },
    save: file.save,
  }
}

/** Another machine used it in the meantime, or it is a copy. */
function isSameVolume(kept: Identity, now: Identity): boolean {
  return kept.kind === 'volume' && now.kind === 'volume' && kept.uuid === now.uuid
}
