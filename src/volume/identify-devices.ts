/**
 * Reads what is on devices, in the guest. The reads run in guestd-helper with a limit, as a device may hang.
 * `look-at-volume.ts` reads files and devices on the host.
 */

import { type BlockDevice, listBlockDevices } from '../sys/block-devices.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { type Content, contentWords, identify, needsTail } from './content.ts'
import { sizeText } from './size-text.ts'

/** A read of 68 KiB takes milliseconds, or a few seconds from a disk that has to spin up. In milliseconds. */
const READ_LIMIT_MS = 10_000

/**
 * @param bytes the size of the device or file
 * @throws HelperError
 */
export async function lookAt(path: string, bytes: number): Promise<Content> {
  const head = await runHelper('read-head', [path], { limitMs: READ_LIMIT_MS })
  const content = identify(head)
  if (!needsTail(content)) return content
  const tail = await runHelper('read-tail', [path], { limitMs: READ_LIMIT_MS })
  return identify(head, { bytes: tail, offset: bytes - tail.length })
}

export interface Seen {
  readonly device: BlockDevice
  /** `null`: it cannot be read. */
  readonly content: Content | null
  /** "/dev/vdb (1 GiB) is blank" */
  readonly words: string
}

/** Every device with its content. Never fails. */
export function lookAtAll(): Promise<readonly Seen[]> {
  return Promise.all(
    listBlockDevices().map(async device => {
      const name = `${device.path} (${sizeText(device.bytes)})`
      try {
        const content = await lookAt(device.path, device.bytes)
        return { device, content, words: `${name} is ${contentWords(content)}` }
      } catch (error) {
        const reason = error instanceof HelperError ? error.message : String(error)
        return { device, content: null, words: `${name} cannot be read: ${reason}` }
      }
    }),
  )
}

/** "/dev/vda (2 GiB) is squashfs; /dev/vdb (1 GiB) is blank" */
export function seenWords(seen: readonly Seen[]): string {
  if (seen.length === 0) return 'there is no block device'
  return `the block devices: ${seen.map(one => one.words).join('; ')}`
}
