/** Makes the root image and the files beside it from a base, guestd's package and an agent. */

import { chmod, copyFile, cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { execa } from 'execa'
import { sourceDateEpoch } from '../scripts/source-date.ts'
import type { BaseImage } from './base-image.ts'
import { makeInitramfs } from './initramfs.ts'
import { extractVmlinux } from './kernel.ts'
import { type ImageFile, makeManifest } from './manifest.ts'
import { buildAsRoot } from './namespaces.ts'
import { createTempFolder } from './temp-folder.ts'

export const INPUTS = path.join(import.meta.dirname, 'image')

/** What an image's folder holds. */
export const IMAGE_FILES = {
  root: 'root.squashfs',
  kernel: 'vmlinuz',
  elfKernel: 'vmlinux',
  initramfs: 'initramfs.gz',
  manifest: 'manifest.json',
} as const

export interface ImageParts {
  base: BaseImage
  /** guestd's Debian package. */
  deb: string
  /** The folder with an agent, copied to `/opt/agent`. */
  agent: string | null
}

/** Leaves the files of an image in a folder. @throws VmError with the end of the log */
export async function assembleImage(parts: ImageParts, folder: string): Promise<void> {
  const desk = await createTempFolder('image')
  try {
    await layOut(parts, desk.path)
    // Not the desk itself, which must not be entered by others: what the script reads is.
    await buildAsRoot([path.join(desk.path, 'assemble.sh'), desk.path], {
      what: 'the image could not be made',
      env: { SOURCE_DATE_EPOCH: `${sourceDateEpoch()}` },
      unpackInto: folder,
    })
  } finally {
    await desk.remove()
  }
  await finish(parts.base, folder)
}

/** Copies everything that `assemble.sh` reads into one folder, readable by every user. */
async function layOut({ base, deb, agent }: ImageParts, desk: string): Promise<void> {
  await cp(INPUTS, desk, { recursive: true, verbatimSymlinks: true })
  await chmod(path.join(desk, 'assemble.sh'), 0o755)
  await copyFile(base.archive, path.join(desk, 'base.tar'))
  await copyFile(deb, path.join(desk, 'guestd.deb'))
  if (agent !== null) {
    await cp(agent, path.join(desk, 'agent'), { recursive: true, verbatimSymlinks: true })
  }
  // Without root the script runs as another user id, and the umask here may be strict.
  await execa('chmod', ['-R', 'a+rX', desk])
}

/** Adds kernels, initramfs and manifest. */
async function finish({ suite }: BaseImage, folder: string): Promise<void> {
  const at = (name: string): string => path.join(folder, name)
  const [version = ''] = await readdir(at('modules'))
  await rename(at('boot/vmlinuz'), at(IMAGE_FILES.kernel))
  await writeFile(
    at(IMAGE_FILES.elfKernel),
    await extractVmlinux(await readFile(at(IMAGE_FILES.kernel))),
  )
  const parts = { busybox: at('boot/busybox'), modules: at(`modules/${version}`) }
  await writeFile(at(IMAGE_FILES.initramfs), await makeInitramfs(parts))
  const { manifest: _, ...others } = IMAGE_FILES
  const files = Object.values(others).map((name): ImageFile => ({ name, path: at(name) }))
  const manifest = await makeManifest({
    suite,
    kernel: version,
    packages: await readFile(at('packages.tsv'), 'utf8'),
    files,
  })
  await writeFile(at(IMAGE_FILES.manifest), `${JSON.stringify(manifest, null, 2)}\n`)
  for (const name of ['boot', 'modules', 'packages.tsv']) {
    await rm(at(name), { recursive: true, force: true })
  }
}
