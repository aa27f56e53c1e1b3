/**
 * A machine that has booted once and is kept in the cache: its state, and the workspace as it was at
 * that moment. Source: `docs/devel/migration.rst` in QEMU.
 */

import { createReadStream } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { crc32 } from 'node:zlib'
import { execa } from 'execa'
import { cached } from '../rootfs/cache.ts'
import { contentKey } from '../rootfs/content-key.ts'
import { type Image, imageIn } from '../rootfs/image.ts'
import { findTool } from '../rootfs/tools.ts'
import { type MachineParts, withParts } from './machine-parts.ts'
import { qemuArgs, shellQuoted } from './qemu-args.ts'
import { DEFAULT_BOOT_LIMIT_MS, rootDisk, WORKSPACE_SERIAL } from './vm.ts'
import { until } from './wait.ts'
import { ensureEmptyVolume } from './workspace-volume.ts'

/** Some 200 MB are written; the disk may be slow. */
const SAVE_LIMIT_MS = 120_000
const POLL_MS = 100
/** Bytes a second: QEMU's own limit is made for networks. */
const SAVE_BANDWIDTH = 10_000_000_000
/** Read at a time. */
const CHUNK_BYTES = 4 * 1024 * 1024
const STATE = 'state'
const VOLUME = 'volume'
const VOLUME_ARCHIVE = 'volume.tar'
const SUMS = 'sums.json'

/** What the state of a machine depends on, beside the code. */
export interface Shape {
  readonly image: Image
  readonly memoryMiB: number
  readonly cpus: number
}

export interface SavedGuest {
  /** What QEMU goes on from. */
  readonly state: string
  /** The workspace at that moment, to be unpacked with `unpackVolume`. */
  readonly volumeArchive: string
}

/**
 * From the cache, or booted and saved. An entry that is not whole is made again.
 * @throws VmError with the end of the console
 */
export async function ensureSavedGuest(
  shape: Shape,
  onPhase: (phase: string) => void,
): Promise<SavedGuest> {
  const volume = await ensureEmptyVolume()
  const folder = await cached({
    kind: 'guest',
    key: await savedGuestKey(shape, volume),
    build: async folder => {
      onPhase('booting a machine to save it')
      await withParts(undefined, parts => save(parts, shape, volume, folder))
      await writeSums(folder)
    },
    isWhole: isWholeGuest,
  })
  return { state: path.join(folder, STATE), volumeArchive: path.join(folder, VOLUME_ARCHIVE) }
}

/**
 * All that a state can be restored with: the image, the workspace, QEMU and its devices.
 * @param emptyVolume from the cache, whose name stands for its content
 */
export async function savedGuestKey(shape: Shape, emptyVolume: string): Promise<string> {
  const { stdout: version } = await execa(await findTool('qemu-system-x86_64'), ['--version'])
  // Paths differ from run to run; the manifest stands for the image's files.
  const files = { volume: '', qmpSocket: '', console: '' }
  const args = savableArgs({ ...shape, image: imageIn('') }, files)
  return await contentKey(
    [version, ...args, path.basename(path.dirname(emptyVolume))],
    [shape.image.manifest, import.meta.filename],
  )
}

/** Makes a file of its own of a saved workspace, as sparse as it was. */
export async function unpackVolume(archive: string, folder: string): Promise<string> {
  await execa('tar', ['-x', '-f', archive, '-C', folder])
  return path.join(folder, VOLUME)
}

/** A machine to be saved and a machine restored from it need the same devices. */
export function savableArgs(
  { image, memoryMiB, cpus }: Shape,
  files: { volume: string; qmpSocket: string; console: string },
  incoming?: string,
): string[] {
  return qemuArgs({
    accelerator: 'tcg',
    transport: 'pci',
    memoryMiB,
    cpus,
    kernel: image.elfKernel,
    initramfs: image.initramfs,
    disks: [rootDisk(image), { file: files.volume, serial: WORKSPACE_SERIAL, mode: 'rw' }],
    network: false,
    qmpSocket: files.qmpSocket,
    vhostSocket: null,
    console: files.console,
    kernelArgs: [],
    ...(incoming === undefined ? {} : { incoming }),
  })
}

async function save(
  parts: MachineParts,
  shape: Shape,
  emptyVolume: string,
  folder: string,
): Promise<void> {
  const volume = path.join(folder, VOLUME)
  await execa('cp', ['--sparse=always', emptyVolume, volume])
  const files = { volume, qmpSocket: parts.folder.qmp, console: parts.consoleFile }
  const { exited } = await parts.startQemu(savableArgs(shape, files))
  await until(async () => /"msg":"serving"/.test(await parts.readConsole()), {
    what: 'guestd’s line "serving" on the console',
    limitMs: DEFAULT_BOOT_LIMIT_MS,
    pollMs: POLL_MS,
    exited,
  })
  await parts.qmp('stop')
  await parts.qmp('migrate-set-parameters', { 'max-bandwidth': SAVE_BANDWIDTH })
  await parts.qmp('migrate', { uri: `exec:cat >${shellQuoted(path.join(folder, STATE))}` })
  await until(async () => isSaved(await parts.qmp('query-migrate')), {
    what: 'the machine’s state to be saved',
    limitMs: SAVE_LIMIT_MS,
    pollMs: POLL_MS,
    exited,
  })
  await parts.end('SIGTERM')
  await execa('tar', ['-c', '-S', '-f', path.join(folder, VOLUME_ARCHIVE), '-C', folder, VOLUME])
  await rm(volume)
}

function isSaved(answer: unknown): boolean {
  const status = hasStatus(answer) ? answer.status : null
  if (status === 'failed') throw new Error('QEMU could not save the machine’s state')
  return status === 'completed'
}

function hasStatus(answer: unknown): answer is { status: unknown } {
  return typeof answer === 'object' && answer !== null && 'status' in answer
}

/** Writes the checksums that `isWholeGuest` compares. */
export async function writeSums(folder: string): Promise<void> {
  await writeFile(path.join(folder, SUMS), JSON.stringify(await sumsOf(folder)))
}

/** Whether the files are as they were written: an entry that was cut or damaged must not be used. */
export async function isWholeGuest(folder: string): Promise<boolean> {
  try {
    const wanted = await readFile(path.join(folder, SUMS), 'utf8')
    return wanted === JSON.stringify(await sumsOf(folder))
  } catch {
    return false
  }
}

async function sumsOf(folder: string): Promise<number[]> {
  return await Promise.all(
    [STATE, VOLUME_ARCHIVE].map(async name => {
      let sum = 0
      const chunks = createReadStream(path.join(folder, name), { highWaterMark: CHUNK_BYTES })
      for await (const chunk of chunks) sum = crc32(chunk, sum)
      return sum
    }),
  )
}
