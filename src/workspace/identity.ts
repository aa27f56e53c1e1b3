/** Identifies the folder or volume of the workspace, so that state of another one is not used for it. */
import { statSync } from 'node:fs'
import type { Static } from 'typebox'
import * as Type from 'typebox'
import type { BlockDevice } from '../sys/block-devices.ts'
import { findBlockDevice } from '../sys/block-devices.ts'
import type { Content } from '../volume/content.ts'
import { lookAt, lookAtAll } from '../volume/identify-devices.ts'
import { openMark } from '../volume/mark-io.ts'
import { sourceOf } from './source.ts'

export const Identity = Type.Union([
  Type.Object({
    kind: Type.Literal('folder'),
    /** These numbers are decimal texts, because a double cannot hold all of them. */
    device: Type.String(),
    inode: Type.String(),
    /** When the folder was created; "0" if the file system does not record it. */
    bornNs: Type.String(),
  }),
  Type.Object({
    kind: Type.Literal('volume'),
    /** `null`: a blank device. A copy of a volume has the same uuid, and a generation of its own. */
    uuid: Type.Union([Type.String(), Type.Null()]),
    generation: Type.Union([Type.Number(), Type.Null()]),
  }),
])
export type Identity = Readonly<Static<typeof Identity>>

/**
 * @param setting `workspace`
 * @returns `null`: not known now, as for a device that is missing. Never fails
 */
export async function identityOf(setting: string): Promise<Identity | null> {
  try {
    const source = sourceOf(setting)
    if (source.kind === 'folder') return folderIdentity(source.path)
    if (source.kind === 'label') {
      const [only, ...more] = (await lookAtAll()).filter(
        ({ content }) => content?.kind === 'ext4' && content.label === source.label,
      )
      const found = more.length === 0 ? only : undefined
      return found?.content ? await volumeIdentity(found.device, found.content) : null
    }
    const place =
      source.kind === 'image'
        ? { path: source.path, bytes: statSync(source.path).size }
        : findBlockDevice(source.path)
    return place === null
      ? null
      : await volumeIdentity(place, await lookAt(place.path, place.bytes))
  } catch {
    return null
  }
}

/**
 * The generation may be one higher, if guestd has crashed between the start of a volume and the write of its identity.
 *
 * @param kept the identity that was stored last
 */
export function isSameWorkspace(kept: Identity, now: Identity): boolean {
  if (kept.kind === 'folder' && now.kind === 'folder') {
    const isKnown = kept.bornNs !== '0' && now.bornNs !== '0'
    const isPlace = isKnown ? kept.bornNs === now.bornNs : kept.device === now.device
    return isPlace && kept.inode === now.inode
  }
  if (kept.kind !== 'volume' || now.kind !== 'volume' || kept.uuid !== now.uuid) return false
  if (kept.generation === null || now.generation === null) return true
  return now.generation === kept.generation || now.generation === kept.generation + 1
}

function folderIdentity(path: string): Identity {
  const { dev, ino, birthtimeNs } = statSync(path, { bigint: true })
  return { kind: 'folder', device: `${dev}`, inode: `${ino}`, bornNs: `${birthtimeNs}` }
}

async function volumeIdentity(
  place: Pick<BlockDevice, 'path' | 'bytes'>,
  content: Content,
): Promise<Identity | null> {
  if (content.kind === 'blank') return { kind: 'volume', uuid: null, generation: null }
  if (content.kind !== 'ext4') return null
  const mark = await openMark(place, content.bytes)
  // Without a place for a mark, starts are not counted. With an empty place, the volume was never started.
  const generation = mark === null ? null : (mark.mark?.generation ?? 0)
  return { kind: 'volume', uuid: content.uuid, generation }
}
