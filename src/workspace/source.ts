/** The setting `workspace`: what it says, and the device that it leads to. */
import { type Stats, statSync } from 'node:fs'
import { type BlockDevice, findBlockDevice } from '../sys/block-devices.ts'
import type { Content } from '../volume/content.ts'
import { lookAt, lookAtAll, type Seen, seenWords } from '../volume/identify-devices.ts'
import type { PendingFormat } from '../volume/mark.ts'
import { unavailable } from '../volume/unavailable.ts'
import { type Image, openImage } from './image-file.ts'

export type Source =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'device'; readonly path: string }
  | { readonly kind: 'image'; readonly path: string }
  | { readonly kind: 'label'; readonly label: string }

export interface Found {
  readonly device: BlockDevice
  readonly content: Content
  /** Of an image file; `null`: it is no loop device of ours. */
  readonly image: Image | null
}

const LABEL = 'LABEL='

/**
 * A path that is not there is a folder to be made, unless it is below /dev; so is one that cannot be looked
 * at, and why is told by the state of the folder. Never fails.
 */
export function sourceOf(setting: string): Source {
  if (setting.startsWith(LABEL)) return { kind: 'label', label: setting.slice(LABEL.length) }
  const stats = statsOf(setting)
  if (stats?.isBlockDevice()) return { kind: 'device', path: setting }
  if (stats?.isFile()) return { kind: 'image', path: setting }
  if (stats === undefined && setting.startsWith('/dev/')) return { kind: 'device', path: setting }
  return { kind: 'folder', path: setting }
}

function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

/**
 * The device, and what is on it now.
 *
 * @param formatBlank a blank image is meant, too
 * @throws GuestdError `workspace_unavailable`, with every device that was seen where none is meant
 */
export async function findDevice(
  source: Exclude<Source, { kind: 'folder' }>,
  formatBlank: boolean,
): Promise<Found> {
  if (source.kind === 'label') return findByLabel(source.label)
  if (source.kind === 'image') {
    const { device, content, image } = await openImage(source.path, isMeant(formatBlank))
    return { device, content, image }
  }
  const device = findBlockDevice(source.path)
  if (device === null)
    throw unavailable(`there is no device ${source.path}; ${seenWords(await lookAtAll())}`)
  return { device, content: await lookAt(device.path, device.bytes), image: null }
}

/** What an image may have in it to be attached. */
function isMeant(formatBlank: boolean): (content: Content) => boolean {
  return content =>
    content.kind === 'ext4' ||
    pendingOf(content) !== null ||
    (formatBlank && content.kind === 'blank')
}

async function findByLabel(label: string): Promise<Found> {
  const seen = await lookAtAll()
  const carries = ({ content }: Seen) =>
    content !== null && (pendingOf(content)?.label ?? labelOf(content)) === label
  const [first, ...more] = seen.filter(carries)
  if (first === undefined || first.content === null)
    throw unavailable(`no device has an ext4 labelled ${label}; ${seenWords(seen)}`)
  if (more.length > 0) {
    const paths = [first, ...more].map(one => one.device.path).join(', ')
    throw unavailable(`more than one device is labelled ${label}: ${paths}`)
  }
  return { device: first.device, content: first.content, image: null }
}

/** A file system that was being made there when the machine died. */
export function pendingOf(content: Content): PendingFormat | null {
  return content.kind === 'damaged' ? (content.mark?.pending ?? null) : null
}

function labelOf(content: Content): string | null {
  return content.kind === 'ext4' ? content.label : null
}
