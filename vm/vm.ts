/**
 * A real microVM with guestd in it: Debian with systemd under QEMU, its vsock device behind a Unix
 * socket of the kind that Firecracker has.
 */

import { writeFile } from 'node:fs/promises'
import type { Child } from '../rootfs/child.ts'
import { ensureImage, type Image } from '../rootfs/image.ts'
import { chooseAccelerator } from './accel.ts'
import { isHealthy } from './healthy.ts'
import { type MachineParts, withParts } from './machine-parts.ts'
import { type OverlayFiles, withOverlay } from './overlay.ts'
import { type Disk, qemuArgs, type Transport } from './qemu-args.ts'
import { until } from './wait.ts'
import { ensureEmptyVolume } from './workspace-volume.ts'

/** Where guestd listens in the guest; only root can bind a port up to this one. */
export const GUESTD_PORT = 1023

/** Enough for Debian, guestd and a test suite of Node's. */
export const DEFAULT_MEMORY_MIB = 1024
/** systemd and guestd start beside each other. */
export const DEFAULT_CPUS = 2
/** A boot takes some 14 s where instructions are translated, many times that on a busy host. */
export const DEFAULT_BOOT_LIMIT_MS = 300_000
/** After this time guestd is polled even without console output. */
const SILENT_BOOT_MS = 60_000
/** Poll interval. */
const POLL_MS = 100

export interface VmOptions {
  /** Default 1024. */
  memoryMiB?: number
  /** Default 2. */
  cpus?: number
  /** Default: the image of this checkout, built if needed. */
  image?: Image
  /** The file that holds the workspace, `/dev/vdb`; `null`: no such disk. Default: an empty one. */
  volume?: string | null
  /** Another kernel, an ELF file or a bzImage, that has drivers and file systems built in. */
  kernel?: string
  /** Bus of the virtio devices; default `pci`. `mmio` is a machine as Firecracker makes it. */
  transport?: Transport
  /** Default false: no network card. */
  network?: boolean
  /** The file that gets what the guest writes to its console. Default: a temporary file. */
  console?: string
  /** Beside the root and the workspace. */
  extraDisks?: readonly Disk[]
  /** Files laid over the guest's root, such as another `/etc/guestd/config.json`. */
  overlay?: OverlayFiles
  /** Further words for the kernel's command line. */
  kernelArgs?: readonly string[]
  /** How long until guestd must answer. Default 300 s. */
  bootLimitMs?: number
  /** The default waits for guestd's answer; false returns as soon as the machine runs. */
  waitForGuestd?: boolean
  /** Called with a short text when each phase starts. */
  onPhase?: (phase: string) => void
}

export interface Vm {
  /** For `guestctl --connect`. */
  connect: string
  /** The Unix socket in it: `CONNECT <port>\n` opens a stream to any port of the guest. */
  socketPath: string
  /** From QEMU's start to guestd's first answer, or until `startVm` returns if it does not wait. */
  bootMs: number
  /** The process to stop and continue for a guest that hangs. */
  qemuPid: number
  /** Settles when the machine has ended, by itself too, with QEMU's exit status. */
  exited: Promise<string>
  /** What the guest wrote to its console so far; empty after `stop` and `kill`. */
  console: () => Promise<string>
  /** Presses the power button, as the host of any VMM can. */
  pressPowerButton: () => Promise<void>
  /** Presses Ctrl-Alt-Del on the machine's keyboard. */
  pressCtrlAltDel: () => Promise<void>
  /** Whether guestd answers now. */
  isHealthy: () => Promise<boolean>
  /** Stops QEMU without a guest shutdown; flushed data is kept. */
  stop: () => Promise<void>
  /** The power cut: QEMU is killed. */
  kill: () => Promise<void>
}

/**
 * Boots a machine. It never outlives this process.
 * @throws VmError with the end of the console
 */
export async function startVm(options: VmOptions = {}): Promise<Vm> {
  const onPhase = options.onPhase ?? (() => {})
  const image = options.image ?? (await ensureImage({ onPhase }))
  const volume = await workspaceDisks(options.volume)
  const accelerator = await chooseAccelerator(image.kernel)
  return await withParts(options.console, async parts => {
    const { folder } = parts
    await writeFile(folder.initramfs, await withOverlay(image.initramfs, options.overlay ?? {}))
    await parts.startVsock()
    onPhase(`booting (${accelerator})`)
    const startedAt = performance.now()
    const machine = await parts.startQemu(
      qemuArgs({
        accelerator,
        transport: options.transport ?? 'pci',
        memoryMiB: options.memoryMiB ?? DEFAULT_MEMORY_MIB,
        cpus: options.cpus ?? DEFAULT_CPUS,
        kernel: options.kernel ?? image.elfKernel,
        initramfs: folder.initramfs,
        disks: [rootDisk(image), ...volume, ...(options.extraDisks ?? [])],
        network: options.network ?? false,
        qmpSocket: folder.qmp,
        vhostSocket: folder.vhostSocket,
        console: parts.consoleFile,
        kernelArgs: options.kernelArgs ?? [],
      }),
    )
    // vhost-device-vsock can stay stuck for good when it is asked while the guest's driver starts.
    const mayAsk = async (): Promise<boolean> =>
      performance.now() - startedAt > SILENT_BOOT_MS ||
      /guestd|"level"/.test(await parts.readConsole())
    if (options.waitForGuestd !== false) {
      await until(async () => (await mayAsk()) && (await isHealthy(folder.vsock, GUESTD_PORT)), {
        what: 'guestd’s answer from the guest',
        limitMs: options.bootLimitMs ?? DEFAULT_BOOT_LIMIT_MS,
        pollMs: POLL_MS,
        exited: machine.exited,
      })
      onPhase(`guestd answered after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)
    }
    return vmOf(parts, machine, performance.now() - startedAt)
  })
}

/** @param bootMs how long it took to start */
export function vmOf(parts: MachineParts, machine: Child, bootMs: number): Vm {
  const { folder } = parts
  const press = async (execute: string, args?: Record<string, unknown>): Promise<void> => {
    await parts.qmp(execute, args)
  }
  return {
    connect: `firecracker:${folder.vsock}:${GUESTD_PORT}`,
    socketPath: folder.vsock,
    bootMs,
    qemuPid: machine.pid,
    exited: machine.exited,
    console: parts.readConsole,
    pressPowerButton: () => press('system_powerdown'),
    pressCtrlAltDel: () => press('send-key', CTRL_ALT_DEL),
    isHealthy: () => isHealthy(folder.vsock, GUESTD_PORT),
    stop: () => parts.end('SIGTERM'),
    kill: () => parts.end('SIGKILL'),
  }
}

const CTRL_ALT_DEL = { keys: ['ctrl', 'alt', 'delete'].map(data => ({ type: 'qcode', data })) }

export function rootDisk(image: Image): Disk {
  return { file: image.root, serial: 'root', mode: 'ro' }
}

async function workspaceDisks(volume: string | null | undefined): Promise<Disk[]> {
  if (volume === null) return []
  if (volume !== undefined) return [{ file: volume, serial: WORKSPACE_SERIAL, mode: 'rw' }]
  return [{ file: await ensureEmptyVolume(), serial: WORKSPACE_SERIAL, mode: 'discard' }]
}

export const WORKSPACE_SERIAL = 'workspace'
