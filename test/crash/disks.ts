/** The disks that are recorded, as they are before. */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createVolume } from '../../src/volume/create-volume.ts'
import { lookAtVolume } from '../../src/volume/look-at-volume.ts'
import { encodeMark, MARK_AREA_BYTES } from '../../src/volume/mark.ts'
import { VOLUME_LABEL } from '../../vm/workspace-volume.ts'
import { NOTE_AREA_BYTES } from './notes.ts'

const MIB = 1024 * 1024
const WORKSPACE_BYTES = 128 * MIB
const CONTROL_BYTES = 64 * MIB

/** `workspace`: guestd's own. The others are mounted by the test, and must lose data. */
export const DISKS = ['workspace', 'no-barriers', 'only-syncfs'] as const
/** `resumed`: the workspace once more, in the machine after the one whose power was cut. */
export type DiskName = (typeof DISKS)[number] | 'resumed'

export interface DiskFiles {
  /** The machine's. */
  readonly disk: string
  readonly before: string
  readonly log: string
  /** Of the file system. */
  readonly bytes: number
  /** Where the notes begin. */
  readonly notesAt: number
}

/** A file system, the place of the mark on guestd's own, and the place of the notes. */
export async function makeDisk(folder: string, name: DiskName): Promise<DiskFiles> {
  const path = (kind: string) => join(folder, `${name}.${kind}`)
  const files = { disk: path('disk'), before: path('before'), log: path('log') }
  const bytes = name === 'workspace' ? await makeWorkspace(files.disk) : makeControl(files.disk)
  const notesAt = bytes + (name === 'workspace' ? MARK_AREA_BYTES : 0)
  truncateSync(files.disk, notesAt + NOTE_AREA_BYTES)
  execFileSync('cp', ['--sparse=always', files.disk, files.before])
  writeFileSync(files.log, '')
  return { ...files, bytes, notesAt }
}

/** One that a session before has left clean. */
async function makeWorkspace(path: string): Promise<number> {
  await createVolume(path, { bytes: WORKSPACE_BYTES, label: VOLUME_LABEL, sessionId: null })
  const { content } = lookAtVolume(path)
  if (content.kind !== 'ext4') throw new Error(`${path} is no ext4`)
  const fields = { sessionId: null, runtimeVersion: null, receipt: null, state: 'clean' } as const
  const at = new Date().toISOString()
  const fd = openSync(path, 'r+')
  try {
    writeSync(fd, encodeMark({ sequence: 1, generation: 1, at, ...fields }), 0, null, content.bytes)
  } finally {
    closeSync(fd)
  }
  return content.bytes
}

function makeControl(path: string): number {
  writeFileSync(path, '')
  truncateSync(path, CONTROL_BYTES)
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-E', 'lazy_itable_init=0,nodiscard', path])
  return CONTROL_BYTES
}
