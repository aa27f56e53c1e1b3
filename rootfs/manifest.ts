/** The contents of an image, to identify what a machine runs. */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { sourceDateEpoch } from '../scripts/source-date.ts'

export interface Manifest {
  suite: string
  architecture: string
  /** Release of the kernel, as `uname -r` prints it in the guest. */
  kernel: string
  /** Seconds since 1970; the latest time that a file of the image has. */
  sourceDateEpoch: number
  guestd: string
  files: Record<string, { bytes: number; sha256: string }>
  packages: { name: string; version: string; architecture: string; installedBytes: number }[]
}

export interface ImageFile {
  name: string
  path: string
}

export interface ManifestParts {
  suite: string
  kernel: string
  /** Lines of name, version, architecture and size in KiB, apart by tabs: dpkg-query(1). */
  packages: string
  files: readonly ImageFile[]
}

export async function makeManifest(parts: ManifestParts): Promise<Manifest> {
  const { suite, kernel } = parts
  const lines = parts.packages.split('\n').filter(line => line !== '')
  const packages = lines.map(line => {
    const [name = '', version = '', architecture = '', kib = '0'] = line.split('\t')
    return { name, version, architecture, installedBytes: Number(kib) * KIB }
  })
  const own = packages.find(({ name }) => name === 'guestd')
  const files: Manifest['files'] = {}
  for (const { name, path } of parts.files) {
    files[name] = { bytes: (await stat(path)).size, sha256: await sha256(path) }
  }
  return {
    suite,
    architecture: own?.architecture ?? '',
    kernel,
    sourceDateEpoch: sourceDateEpoch(),
    guestd: own?.version ?? '',
    files,
    packages,
  }
}

/** The unit of dpkg's Installed-Size. */
const KIB = 1024

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}
