/**
 * What Cloud Hypervisor asks of the body of PUT /vm.create, for the objects that
 * vm/vmm/cloud-hypervisor.json uses and the network card that the walk-through adds. What is not
 * here is refused.
 *
 * The facts are those of its API definition, vmm/src/api/openapi/cloud-hypervisor.yaml (0.3.0, with
 * the image_type of release 51), by the names of its schemas.
 */

import * as Type from 'typebox'
import { file, guestCid, macAddress, positive, strict, tapName, unixSocket } from './parts.ts'

/** PayloadConfig: a kernel that is booted without firmware. */
const payload = strict({ kernel: file, initramfs: file, cmdline: Type.String() }, ['kernel'])

/** CpusConfig. */
const cpus = strict({ boot_vcpus: positive, max_vcpus: positive }, ['boot_vcpus', 'max_vcpus'])

/** MemoryConfig. The size is in bytes. */
const memory = strict(
  {
    size: positive,
    shared: Type.Boolean(),
    mergeable: Type.Boolean(),
    hugepages: Type.Boolean(),
    prefault: Type.Boolean(),
    thp: Type.Boolean(),
  },
  ['size'],
)

/**
 * DiskConfig, the kind with a file behind it, with the longest serial that virtio-blk has room for,
 * and ImageType.
 */
const disk = strict(
  {
    path: file,
    readonly: Type.Boolean(),
    direct: Type.Boolean(),
    num_queues: positive,
    queue_size: positive,
    id: Type.String({ minLength: 1 }),
    serial: Type.String({ minLength: 1, maxLength: 20 }),
    sparse: Type.Boolean(),
    image_type: Type.Enum(['FlatVmdk', 'FixedVhd', 'Qcow2', 'Raw', 'Vhdx']),
  },
  ['path'],
)

/** NetConfig. */
const net = strict(
  {
    tap: tapName,
    mac: macAddress,
    mtu: positive,
    id: Type.String({ minLength: 1 }),
  },
  [],
)

/** SerialConfig and ConsoleConfig, by ConsoleMode: some modes take where it goes. */
const terminal = Type.Union([
  strict({ mode: Type.Literal('File'), file }, ['mode', 'file']),
  strict({ mode: Type.Literal('Socket'), socket: unixSocket }, ['mode', 'socket']),
  strict({ mode: Type.Enum(['Off', 'Pty', 'Tty', 'Null']) }, ['mode']),
])

/** VsockConfig. */
const vsock = strict({ cid: guestCid, socket: unixSocket, id: Type.String() }, ['cid', 'socket'])

/** VmConfig. */
export const cloudHypervisorConfig = strict(
  {
    payload,
    cpus,
    memory,
    disks: Type.Array(disk),
    net: Type.Array(net),
    vsock,
    serial: terminal,
    console: terminal,
    /** RngConfig. */
    rng: strict({ src: file }, ['src']),
    watchdog: Type.Boolean(),
    pvpanic: Type.Boolean(),
  },
  ['payload'],
)

export type CloudHypervisorConfig = Type.Static<typeof cloudHypervisorConfig>
