/** Restores a machine from a saved state, in seconds instead of a full boot. */

import { setTimeout as sleep } from 'node:timers/promises'
import { ensureImage } from '../rootfs/image.ts'
import { messageOf } from '../src/util/message-of.ts'
import { chooseAccelerator } from './accel.ts'
import { isHealthy } from './healthy.ts'
import { type MachineParts, withParts } from './machine-parts.ts'
import { type Disk, PORTS } from './qemu-args.ts'
import {
  ensureSavedGuest,
  type SavedGuest,
  type Shape,
  savableArgs,
  unpackVolume,
} from './saved-guest.ts'
import {
  DEFAULT_CPUS,
  DEFAULT_MEMORY_MIB,
  GUESTD_PORT,
  startVm,
  type Vm,
  type VmOptions,
  vmOf,
} from './vm.ts'
import { until } from './wait.ts'

const POLL_MS = 50
/** Of each step on a busy host; all of them take under two seconds on a quiet one. */
const LIMIT_MS = 120_000

/** The driver fills its queues right after it has said that it works. */
const SETTLE_MS = 250
/**
 * A device that is stuck is given up after the first limit, which is far above what a quiet host needs;
 * for a busy one each further attempt has twice as long.
 */
const FIRST_ANSWER_LIMIT_MS = 15_000
const ATTEMPTS = 4

export type RestoreOptions = Pick<
  VmOptions,
  'memoryMiB' | 'cpus' | 'image' | 'extraDisks' | 'onPhase'
>

/**
 * A machine as `startVm` makes it, ready, with its own workspace, which is removed at its end. All restored machines
 * share the saved machine's boot id, machine id, random numbers and clock. With KVM, where a boot takes a second or
 * two, it boots instead.
 *
 * @param options.extraDisks at most two, read-only
 * @throws VmError with the end of the console
 */
export async function restoreVm(options: RestoreOptions = {}): Promise<Vm> {
  const onPhase = options.onPhase ?? (() => {})
  const image = options.image ?? (await ensureImage({ onPhase }))
  if ((await chooseAccelerator(image.kernel)) === 'kvm') return await startVm({ ...options, image })
  const shape = {
    image,
    memoryMiB: options.memoryMiB ?? DEFAULT_MEMORY_MIB,
    cpus: options.cpus ?? DEFAULT_CPUS,
  }
  const saved = await ensureSavedGuest(shape, onPhase)
  for (let attempt = 1; ; attempt++) {
    const answerLimitMs = FIRST_ANSWER_LIMIT_MS * 2 ** (attempt - 1)
    try {
      return await restoreOnce(shape, saved, { disks: options.extraDisks ?? [], answerLimitMs })
    } catch (error) {
      if (attempt === ATTEMPTS) throw error
      onPhase(`restoring again: ${messageOf(error).split('\n')[0]}`)
    }
  }
}

async function restoreOnce(
  shape: Shape,
  saved: SavedGuest,
  { disks, answerLimitMs }: { disks: readonly Disk[]; answerLimitMs: number },
): Promise<Vm> {
  return await withParts(undefined, async parts => {
    const { folder } = parts
    const volume = await unpackVolume(saved.volumeArchive, folder.path)
    await parts.startVsock()
    const startedAt = performance.now()
    const files = { volume, qmpSocket: folder.qmp, console: parts.consoleFile }
    const machine = await parts.startQemu(savableArgs(shape, files, saved.state))
    const wait = { limitMs: LIMIT_MS, pollMs: POLL_MS, exited: machine.exited }
    await until(() => isPaused(parts), { ...wait, what: 'the saved state to be read' })
    await plugIn(parts, disks)
    await parts.qmp('cont')
    // vhost-device-vsock can stay stuck for good when it is asked while the guest's driver starts.
    await until(() => isDriven(parts), { ...wait, what: 'the guest to take its vsock device' })
    await sleep(SETTLE_MS)
    const asked = { ...wait, limitMs: answerLimitMs, what: 'guestd’s answer from the guest' }
    await until(() => isHealthy(folder.vsock, GUESTD_PORT), asked)
    return vmOf(parts, machine, performance.now() - startedAt)
  })
}

const VSOCK = 'vsock'

async function plugIn(parts: MachineParts, disks: readonly Disk[]): Promise<void> {
  const [vsockPort, ...diskPorts] = PORTS
  for (const [index, { file, serial }] of disks.entries()) {
    const bus = diskPorts[index]
    if (bus === undefined)
      throw new Error(`no more than ${diskPorts.length} disks can be plugged in`)
    await parts.qmp('blockdev-add', {
      ...{ driver: 'raw', 'node-name': serial, 'read-only': true },
      file: { driver: 'file', filename: file },
    })
    await parts.qmp('device_add', { driver: 'virtio-blk-pci', drive: serial, serial, bus })
  }
  const addr = { type: 'unix', data: { path: parts.folder.vhostSocket } }
  await parts.qmp('chardev-add', {
    id: VSOCK,
    backend: { type: 'socket', data: { addr, server: false } },
  })
  const device = { driver: 'vhost-user-vsock-pci', id: VSOCK, chardev: VSOCK, bus: vsockPort }
  await parts.qmp('device_add', device)
}

/** Whether QEMU listens, and has read the state. */
async function isPaused(parts: MachineParts): Promise<boolean> {
  const answer = await parts.qmp('query-status').catch(() => null)
  return JSON.stringify(answer).includes('"paused"')
}

/**
 * A driver that works says so in the device's status: VIRTIO 1.2, 2.1. The state of its queues must not
 * be asked for: QEMU stops a queue of vhost-user to read it.
 */
async function isDriven(parts: MachineParts): Promise<boolean> {
  const path = `/machine/peripheral/${VSOCK}/virtio-backend`
  const answer = await parts.qmp('x-query-virtio-status', { path })
  return JSON.stringify(answer).includes('VIRTIO_CONFIG_S_DRIVER_OK')
}
