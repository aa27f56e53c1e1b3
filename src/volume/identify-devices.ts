/** Looking at what is on devices, without a hang of one holding anybody. */

import { type BlockDevice, listBlockDevices } from '../sys/block-devices.ts'
import { HelperError, runHelper } from '../sys/helper.ts'
import { type Content, contentWords, identify, needsTail } from './content.ts'
import { sizeText } from './size-text.ts'

/** A read of 68 KiB from a device that is well takes milliseconds; one that sleeps, a few seconds. */
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
  /** `null` where it cannot be read. */
  readonly content: Content | null
  /** "/dev/vdb (1 GiB) is blank" */
  readonly words: string
}

/** Every device with what is on it. One that cannot be read is told as such. */
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
