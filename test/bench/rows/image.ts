/** How large the image and the package are. */
import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { ensureImage } from '../../../rootfs/image.ts'
import type { Manifest } from '../../../rootfs/manifest.ts'
import { buildPackage } from '../../../scripts/dist.ts'
import type { Row } from '../bench.ts'
import { toLine } from '../line.ts'

const MIB = 1024 * 1024
const KIB = 1024

export const image: Row = {
  name: 'image',
  async measure(bench) {
    const { manifest: file } = await ensureImage({ onPhase: bench.say })
    const manifest: Manifest = JSON.parse(await readFile(file, 'utf8'))
    const installed = manifest.packages.reduce((sum, { installedBytes }) => sum + installedBytes, 0)
    const parts = Object.entries(manifest.files)
    const { deb } = await buildPackage('small')
    return [
      toLine(
        {
          name: 'image: the root file system',
          unit: 'MiB',
          baselineName: 'the packages in it, installed',
          notes: parts.map(([name, { bytes }]) => `${name} ${(bytes / MIB).toFixed(1)} MiB`),
        },
        [
          {
            guestd: (manifest.files['root.squashfs']?.bytes ?? 0) / MIB,
            baseline: installed / MIB,
          },
        ],
      ),
      toLine({ name: 'package: the .deb', unit: 'MiB', baselineName: 'the same, installed' }, [
        { guestd: (await stat(deb)).size / MIB, baseline: (await installedBytes(deb)) / MIB },
      ]),
    ]
  },
}

async function installedBytes(deb: string): Promise<number> {
  const { stdout } = await promisify(execFile)('dpkg-deb', ['--field', deb, 'Installed-Size'])
  return Number(stdout) * KIB
}
