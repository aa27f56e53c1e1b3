/** A plain Debian 12 in a folder, for a package to be installed in: no network, no service manager that runs. */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { execa } from 'execa'
import { cached } from '../../rootfs/cache.ts'
import { contentKey } from '../../rootfs/content-key.ts'
import { findTool } from '../../rootfs/tools.ts'
import type { Teardown } from '../helpers/guestd.ts'

const SUITE = 'bookworm'
/** On top of what every Debian has. */
const PACKAGES = 'systemd,systemd-sysv'
/** As root with as many users as Debian has, where this is not root already. */
const AS_ROOT = process.getuid?.() === 0 ? [] : ['--map-root-user', '--map-auto']
/** What a script runs in: all that it starts ends with it. */
const NAMESPACES = ['--net', '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child=SIGKILL']
/** An installation unpacks 110 MB. */
const SCRIPT_LIMIT_MS = 240_000
/** Of what a script writes. */
const MAX_OUTPUT_BYTES = 1024 * 1024

const ENTER = `set -e
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs tmpfs "$1/run"
mkdir "$1/run/lock"
exec chroot "$1" /usr/bin/env -i HOME=/root TERM=dumb LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash -c "$2"`

export interface ScriptResult {
  readonly code: number | undefined
  readonly stdout: string
  /** Both streams, in order. */
  readonly all: string
}

export interface DebianRoot {
  /** Puts a file into its /root. */
  give(file: string): Promise<void>
  /** Runs a bash script as root, in namespaces of its own and with an empty /run. */
  attempt(script: string): Promise<ScriptResult>
  /** The same for one that must succeed; its standard output. */
  run(script: string): Promise<string>
}

export async function createDebianRoot(t: Teardown): Promise<DebianRoot> {
  const archive = await ensureArchive()
  const unshare = await findTool('unshare')
  const parent = await mkdtemp(join(tmpdir(), 'guestd-root-'))
  const folder = join(parent, 'root')
  const asRoot = (...command: string[]) =>
    AS_ROOT.length === 0
      ? execa(command[0] ?? '', command.slice(1))
      : execa(unshare, [...AS_ROOT, '--', ...command])
  t.teardown(() => asRoot('rm', '-rf', '--one-file-system', parent))
  await execa('chmod', ['755', parent])
  await asRoot('mkdir', '-m', '755', folder)
  await asRoot('tar', '-C', folder, '--exclude=./dev/*', '--numeric-owner', '-xpf', archive)

  const attempt = async (script: string): Promise<ScriptResult> => {
    const inside = ['sh', '-c', ENTER, 'sh', folder, script]
    const { exitCode, stdout, all } = await execa(
      unshare,
      [...AS_ROOT, ...NAMESPACES, '--', ...inside],
      {
        all: true,
        reject: false,
        stdin: 'ignore',
        timeout: SCRIPT_LIMIT_MS,
        maxBuffer: MAX_OUTPUT_BYTES,
      },
    )
    return { code: exitCode, stdout, all }
  }
  return {
    give: async file => {
      await asRoot('install', '-m', '644', file, join(folder, 'root', basename(file)))
    },
    attempt,
    run: async script => {
      const { code, stdout, all } = await attempt(script)
      if (code !== 0) throw new Error(`exit code ${code} of ${script}\n${all}`)
      return stdout
    },
  }
}

/** A tarball, made once. */
async function ensureArchive(): Promise<string> {
  const folder = await cached({
    kind: 'plain',
    key: await contentKey([SUITE, PACKAGES], []),
    build: async folder => {
      const make = [await findTool('mmdebstrap'), '--variant=minbase', '--format=tar']
      const args = [...make, `--include=${PACKAGES}`, SUITE, join(folder, 'root.tar')]
      // As root it mounts in this machine's tree; as another user it has such namespaces itself.
      const own = AS_ROOT.length === 0 ? MMDEBSTRAP_NAMESPACES : []
      await execa(await findTool('unshare'), [...own, '--', ...args], {
        env: { DEBIAN_FRONTEND: 'noninteractive' },
      })
    },
  })
  return join(folder, 'root.tar')
}

const MMDEBSTRAP_NAMESPACES = ['--mount-proc', '--pid', '--fork', '--kill-child=SIGKILL']
