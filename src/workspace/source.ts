/** The setting `workspace`, and the device that it means. */
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
  /** Of an image file; `null`: it is not the loop device of an image. */
  readonly image: Image | null
}

const LABEL = 'LABEL='

/**
 * A path that does not exist is a folder to be created, unless it is below /dev. So is a path that cannot be read: the
 * state of the folder then says why. Never fails.
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
 * Finds the device, and reads what is on it.
 *
 * @param formatBlank a blank image is accepted too
 * @throws GuestdError `workspace_unavailable`, with a list of all devices if there is none with this path or label
 */
export async function findDevice(
  source: Exclude<Source, { kind: 'folder' }>,
  formatBlank: boolean,
): Promise<Found> {
  if (source.kind === 'label') return findByLabel(source.label)
  if (source.kind === 'image') {
    const { device, content, image } = await openImage(source.path, isUsable(formatBlank))
    return { device, content, image }
  }
  const device = findBlockDevice(source.path)
  if (device === null)
    throw unavailable(`there is no device ${source.path}; ${seenWords(await lookAtAll())}`)
  return { device, content: await lookAt(device.path, device.bytes), image: null }
}

/** Whether an image with this content is attached. */
function isUsable(formatBlank: boolean): (content: Content) => boolean {
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

/** A format that was interrupted, as by a power cut; `null`: none. */
export function pendingOf(content: Content): PendingFormat | null {
  return content.kind === 'damaged' ? (content.mark?.pending ?? null) : null
}

function labelOf(content: Content): string | null {
  return content.kind === 'ext4' ? content.label : null
}
