/** The setting `workspace`: what it says, and the device that it leads to. */
import { realpathSync, type Stats, statSync } from 'node:fs'
import { type Content, contentWords } from '../protocol/volume/content.ts'
import type { PendingFormat } from '../protocol/volume/mark.ts'
import { type BlockDevice, findBlockDevice, listBlockDevices } from '../sys/block-devices.ts'
import { runHelper } from '../sys/helper.ts'
import { lookAt, lookAtAll, type Seen, seenWords } from './look.ts'
import { unavailable } from './unavailable.ts'

export type Source =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'device'; readonly path: string }
  | { readonly kind: 'image'; readonly path: string }
  | { readonly kind: 'label'; readonly label: string }

export interface Found {
  readonly device: BlockDevice
  readonly content: Content
  /** A loop device that guestd has made, or taken over, and takes apart again. */
  readonly isOurLoop: boolean
}

const LABEL = 'LABEL='
/** Setting up a loop device writes nothing. */
const ATTACH_LIMIT_MS = 10_000

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
  if (source.kind === 'image') return findByImage(source.path, formatBlank)
  const device = findBlockDevice(source.path)
  if (device === null)
    throw unavailable(`there is no device ${source.path}; ${seenWords(await lookAtAll())}`)
  return { device, content: await lookAt(device.path, device.bytes), isOurLoop: false }
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
  return { device: first.device, content: first.content, isOurLoop: false }
}

/** A file system that was being made there when the machine died. */
export function pendingOf(content: Content): PendingFormat | null {
  return content.kind === 'damaged' ? (content.mark?.pending ?? null) : null
}

function labelOf(content: Content): string | null {
  return content.kind === 'ext4' ? content.label : null
}

/** A loop device of the same file is that of a daemon before this one. */
async function findByImage(path: string, formatBlank: boolean): Promise<Found> {
  const content = await lookAt(path, statSync(path).size)
  const isMeant = content.kind === 'ext4' || pendingOf(content) !== null
  if (!isMeant && !(formatBlank && content.kind === 'blank'))
    throw unavailable(`${path} is ${contentWords(content)}, not ext4`)
  const file = realpathSync(path)
  const attached = () => listBlockDevices().find(device => device.backingFile === file)
  if (attached() === undefined) await runHelper('attach', [file], { limitMs: ATTACH_LIMIT_MS })
  const device = attached()
  if (device === undefined) throw unavailable(`no loop device could be made of ${path}`)
  return { device, content, isOurLoop: true }
}
