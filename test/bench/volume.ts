/** A volume for guestd, and the same one mounted by hand. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { createClient } from '../../src/client/index.ts'
import { createVolume } from '../../src/volume/create-volume.ts'
import type { Bench } from './bench.ts'
import type { Daemon } from './daemon.ts'
import { parseCrew } from './tools.ts'

const GIB = 1024 ** 3
const LABEL = 'guestd-bench'

export interface Volume {
  /** Where it is mounted. */
  readonly at: string
  /** A guestd that has it; as it ends it unmounts it. */
  startDaemon(config?: Readonly<Record<string, unknown>>): Promise<Daemon>
  /** As guestd mounts it, by mount(8), on a loop device. */
  mount(): Promise<void>
  unmount(): Promise<void>
}

/** One of 1 GiB, as `guestctl volume create` makes it, in a file of the row's folder. */
export async function makeVolume(bench: Bench, name: string): Promise<Volume> {
  const [image, at] = [join(bench.scratch, `${name}.img`), join(bench.scratch, name)]
  await createVolume(image, { bytes: GIB, label: LABEL, sessionId: null })
  mkdirSync(at)
  let mounted = false
  const unmount = async () => {
    if (mounted) await execa('umount', [at])
    mounted = false
  }
  bench.defer(unmount)
  return {
    at,
    unmount,
    startDaemon: config =>
      bench.startDaemon({ config: { workspace: image, workspaceMount: at, ...config } }),
    async mount() {
      await execa('mount', ['-o', 'loop,nodev,noatime', image, at])
      mounted = true
    },
  }
}

/** Nothing is left to be written, on any disk: what is measured next writes its own. */
export async function settle(): Promise<void> {
  await execa('sync')
}

/** How long one request took to the end of its reply, in milliseconds. */
export async function timeRequest(bench: Bench, daemon: Daemon, path: string): Promise<number> {
  const words = [daemon.address, 1, 0, 1, 'POST', path]
  return parseCrew(await bench.tools.run('request', words)).times[0] ?? Number.NaN
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  await work()
  return performance.now() - from
}

/** Runs a script to its end by guestd, and gives what it printed. @throws where it fails */
export async function runScript(daemon: Daemon, command: string): Promise<string> {
  const client = createClient({ connect: daemon.address })
  try {
    const { exitCode, stdout, stderr } = await client.run({ command, timeoutMs: 0 }).collect()
    if (exitCode !== 0) throw new Error(`${command}: ${exitCode}: ${stderr}`)
    return stdout.toString()
  } finally {
    client.close()
  }
}
