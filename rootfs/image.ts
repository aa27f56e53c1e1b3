/** The image that a machine boots, from the cache or made anew. */

import { realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { buildPackage } from '../scripts/dist.ts'
import { sourceDateEpoch } from '../scripts/source-date.ts'
import { assembleImage, IMAGE_FILES, INPUTS } from './assemble.ts'
import { ensureBaseImage } from './base-image.ts'
import { cached } from './cache.ts'
import { contentKey } from './content-key.ts'
import { VmError } from './vm-error.ts'

export interface ImageOptions {
  /** Debian packages beside those that every image has. */
  include?: readonly string[]
  /** A folder with an agent: its program `start`, or its own unit `agent.service`. */
  agent?: string
  /** Called with a short text when each phase starts. */
  onPhase?: (phase: string) => void
}

export interface Image {
  folder: string
  /** The read-only root file system, a squashfs. */
  root: string
  /** A bzImage. */
  kernel: string
  /** The same kernel as an ELF file. */
  elfKernel: string
  /** A gzipped cpio archive; further ones may follow it. */
  initramfs: string
  /** What is in it, as JSON. */
  manifest: string
}

/**
 * Two calls with the same options, packages and code give the same bytes.
 * @throws VmError if guestd is not built, or with the end of a failed step's log
 */
export async function ensureImage(options: ImageOptions = {}): Promise<Image> {
  const onPhase = options.onPhase ?? (() => {})
  const agent = options.agent === undefined ? null : await agentFolder(options.agent)
  const base = await ensureBaseImage(options.include ?? [], () =>
    onPhase('making the guest’s Debian, about a minute'),
  )
  const { deb } = await buildPackage()
  const words = [base.key, `${sourceDateEpoch()}`, agent === null ? '' : 'agent']
  const code = ['assemble', 'cpio', 'initramfs', 'kernel', 'kernel-modules', 'manifest']
  const key = await contentKey(words, [
    ...[deb, INPUTS, path.join(import.meta.dirname, 'initramfs')],
    ...code.map(name => path.join(import.meta.dirname, `${name}.ts`)),
    ...(agent === null ? [] : [agent]),
  ])
  const folder = await cached({
    kind: 'image',
    key,
    build: async folder => {
      onPhase('making the image')
      await assembleImage({ base, deb, agent }, folder)
    },
  })
  return imageIn(folder)
}

/** The files of an image's folder. */
export function imageIn(folder: string): Image {
  const at = (name: string): string => path.join(folder, name)
  return {
    folder,
    root: at(IMAGE_FILES.root),
    kernel: at(IMAGE_FILES.kernel),
    elfKernel: at(IMAGE_FILES.elfKernel),
    initramfs: at(IMAGE_FILES.initramfs),
    manifest: at(IMAGE_FILES.manifest),
  }
}

async function agentFolder(agent: string): Promise<string> {
  const [start, unit] = await Promise.all(
    ['start', 'agent.service'].map(name => stat(path.join(agent, name)).catch(() => null)),
  )
  const isProgram = start?.isFile() && (start.mode & 0o111) !== 0
  // Of a link the key would be its name alone.
  if (unit?.isFile() || isProgram) return await realpath(agent)
  throw new VmError(`${agent}: an agent needs a program "start", or its unit "agent.service"`)
}
