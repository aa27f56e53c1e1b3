/**
 * A machine on the workspace that another has left by a power cut: it repairs the volume, works there, and
 * is stopped while another mount namespace holds the volume, so that the stop has to shut it down.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient, type Receipt, type SessionInfo } from '../../src/client/index.ts'
import { startVm } from '../../vm/vm.ts'
import type { DiskFiles } from './disks.ts'
import { asRoot, createGuest, nameDisks, pause, WORKER } from './machine.ts'
import { claimsAt, type NoteText, readNotes } from './notes.ts'
import { choosePoint } from './points.ts'
import { createRebuilder } from './rebuild.ts'
import { openRecording } from './recording.ts'
import { BEGIN, claimRulesOf, DONE } from './workloads.ts'

export interface Resumed {
  readonly session: SessionInfo
  /** Of the stop. */
  readonly receipt: Receipt | null
  /** What the machine before had acknowledged when its power was cut, by name. */
  readonly claims: readonly (readonly [string, NoteText])[]
}

/** Past the middle of the log: most of the workloads have been flushed some times. */
const POINT = { seed: 0, number: 60, of: 100 }
const ROUNDS = 3
const HOLD = 'systemd-run --quiet --collect unshare --mount --propagation private sleep infinity'

/** @param before the recording of the machine whose power is cut. @throws Error when the machine fails */
export async function recordResumed(
  folder: string,
  before: DiskFiles,
  onPhase: (phase: string) => void,
): Promise<Resumed & { readonly files: DiskFiles }> {
  const { files, claims } = cutPower(folder, before)
  const vm = await startVm({
    volume: null,
    extraDisks: [{ file: files.disk, log: files.log, serial: 'resumed', mode: 'rw' }],
    overlay: { [WORKER]: readFileSync(join(import.meta.dirname, 'guest/worker.ts'), 'utf8') },
    onPhase,
  })
  const client = createClient({ connect: vm.connect, reattachLimitMs: 0 })
  try {
    // It serves while the volume is being repaired.
    let session = await client.session()
    for (; !session.workspace.ok; session = await client.session()) await pause(vm)
    await asRoot(client, nameDisks(['resumed']))
    const guest = createGuest(client, vm, { resumed: files })
    const say = await guest.notes('resumed')
    await guest.start('resumed')
    for (let round = 1; round <= ROUNDS; round++) {
      onPhase(`round ${round} after the power cut`)
      await guest.progress('resumed')
      await say.write(BEGIN, round)
      const { clean } = await client.flush()
      if (!clean) throw new Error('the flush was not clean')
      await say.write(DONE, round)
    }
    onPhase('stop')
    await asRoot(client, HOLD)
    await say.end()
    const receipt = await client.stop()
    return { files, session, receipt, claims }
  } finally {
    client.close()
    await vm.stop()
    rmSync(files.disk, { force: true })
  }
}

function cutPower(
  folder: string,
  before: DiskFiles,
): Pick<Resumed, 'claims'> & { readonly files: DiskFiles } {
  const path = (kind: string) => join(folder, `resumed.${kind}`)
  const files = { ...before, disk: path('disk'), before: path('before'), log: path('log') }
  const recording = openRecording(before.before, before.log)
  const rebuilder = createRebuilder(recording, path('rolling'))
  try {
    const point = choosePoint(recording.entries, POINT)
    rebuilder.build(point, files.before)
    const notes = readNotes(recording, before.notesAt)
    const claims = claimsAt(notes, point.cut, false, claimRulesOf('workspace'))
    execFileSync('cp', ['--sparse=always', files.before, files.disk])
    writeFileSync(files.log, '')
    return { files, claims: [...claims] }
  } finally {
    rebuilder.close()
    recording.close()
  }
}
