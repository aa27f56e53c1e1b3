/** Power cuts of what was recorded, each rebuilt and checked. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Checked, checkDisk, type Subject } from './check.ts'
import type { DiskName } from './disks.ts'
import { MOUNT_POINT, unmountAll } from './leftovers.ts'
import { readNotes } from './notes.ts'
import { choosePoint, type Point } from './points.ts'
import { createRebuilder, type Piece } from './rebuild.ts'
import type { Recorded } from './record.ts'
import { openRecording } from './recording.ts'
import { claimRulesOf, WORKLOADS } from './workloads.ts'

export interface Trial {
  readonly subject: Subject
  readonly choose: (choice: { seed: number; number: number; of: number }) => Point
  /** Rebuilds and checks each of them; by their numbers. */
  run(points: readonly Point[]): Promise<ReadonlyMap<number, Checked>>
  close(): void
}

/** Beside each other: one machine of two cores has that many. */
const AT_A_TIME = 2

/** @param folder of the recording; disks are made in it */
export function openTrial(folder: string, disk: DiskName): Trial {
  const recorded: Recorded = JSON.parse(readFileSync(join(folder, 'recorded.json'), 'utf8'))
  const { before, log, bytes, notesAt } = recorded.disks[disk]
  const recording = openRecording(before, log)
  const isResumed = disk === 'resumed'
  const earlier = isResumed ? WORKLOADS.workspace : {}
  const subject: Subject = {
    recording,
    notes: readNotes(recording, notesAt),
    bytes,
    hasMark: isResumed || disk === 'workspace',
    workloads: new Map(Object.entries({ ...earlier, ...WORKLOADS[disk] })),
    earlier: new Map(isResumed ? recorded.resumed.claims : []),
    rules: claimRulesOf(disk),
  }
  const rebuilder = createRebuilder(recording, join(folder, `${disk}.rolling`))
  return {
    subject,
    choose: choice => choosePoint(recording.entries, choice),
    async run(points) {
      const results = new Map<number, Checked>()
      const queue = points.toSorted((a, b) => a.durable - b.durable)
      const worker = async (_: unknown, lane: number) => {
        const file = join(folder, `${disk}.point-${lane}`)
        const at = join(folder, `${MOUNT_POINT}${lane}`)
        mkdirSync(at, { recursive: true })
        for (let point = queue.shift(); point !== undefined; point = queue.shift()) {
          const kept: readonly Piece[] = rebuilder.build(point, file)
          results.set(point.number, await checkDisk(subject, point, { file, kept, at }))
        }
        rmSync(file, { force: true })
      }
      await Promise.all(Array.from({ length: AT_A_TIME }, worker))
      return results
    },
    close() {
      unmountAll(folder)
      rebuilder.close()
      recording.close()
    },
  }
}
