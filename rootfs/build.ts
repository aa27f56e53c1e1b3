/**
 * `make image`: builds an image for a VMM of your own.
 *
 * node rootfs/build.ts [--include PACKAGES]… [--agent DIR] [--out DIR]
 */

import { copyFile, mkdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { messageOf } from '../src/util/message-of.ts'
import { IMAGE_FILES } from './assemble.ts'
import { ensureImage } from './image.ts'
import type { Manifest } from './manifest.ts'
import { VmError } from './vm-error.ts'

const MIB = 1024 * 1024
const USAGE_ERROR = 2
const FAILED = 1

process.exitCode = await main().catch(error => {
  console.error(error instanceof VmError ? `image: ${error.message}` : error)
  return FAILED
})

async function main(): Promise<number> {
  const options = readOptions()
  if (options === null) return USAGE_ERROR
  const { include = [], agent, out = 'build/image' } = options
  const image = await ensureImage({
    include: include.flatMap(list => list.split(/[\s,]+/)).filter(name => name !== ''),
    ...(agent === undefined ? {} : { agent: path.resolve(agent) }),
    onPhase: phase => console.error(`image: ${phase}`),
  })
  await mkdir(out, { recursive: true })
  for (const name of Object.values(IMAGE_FILES)) {
    await copyFile(path.join(image.folder, name), path.join(out, name))
  }
  const manifest: Manifest = JSON.parse(await readFile(image.manifest, 'utf8'))
  for (const [name, { bytes, sha256 }] of Object.entries(manifest.files)) {
    const size = `${(bytes / MIB).toFixed(1)} MiB`
    console.log(`${sha256}  ${size.padStart(9)}  ${path.join(out, name)}`)
  }
  const { packages, kernel, guestd } = manifest
  console.log(`guestd ${guestd}, Linux ${kernel}, ${packages.length} packages: manifest.json`)
  return 0
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        include: { type: 'string', multiple: true },
        agent: { type: 'string' },
        out: { type: 'string' },
      },
    }).values
  } catch (error) {
    console.error(`image: ${messageOf(error)}`)
    console.error('usage: node rootfs/build.ts [--include PACKAGES]… [--agent DIR] [--out DIR]')
    return null
  }
}
