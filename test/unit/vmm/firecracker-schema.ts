/**
 * What Firecracker asks of its configuration file, for the objects that vm/vmm/firecracker.json
 * uses and the network card that the walk-through adds. What is not here is refused.
 *
 * The facts are those of its API definition, src/firecracker/swagger/firecracker.yaml of version
 * 1.17, by the names of its definitions. The file has an object by the name of each resource, as in
 * FullVmConfiguration.
 */

import * as Type from 'typebox'
import { file, guestCid, macAddress, positive, strict, tapName, unixSocket } from './parts.ts'

/** BootSource. The kernel is an ELF file; with an initrd no drive is the root device. */
const bootSource = strict(
  { kernel_image_path: file, initrd_path: file, boot_args: Type.String() },
  ['kernel_image_path'],
)

/** MachineConfiguration. The number of processors is 1 or even. */
const machineConfig = strict(
  {
    vcpu_count: Type.Union([
      Type.Literal(1),
      Type.Integer({ minimum: 2, maximum: 32, multipleOf: 2 }),
    ]),
    mem_size_mib: positive,
    smt: Type.Boolean(),
    track_dirty_pages: Type.Boolean(),
    huge_pages: Type.Enum(['None', 'Transparent', '2M']),
  },
  ['vcpu_count', 'mem_size_mib'],
)

/** Drive, the kind with a file behind it: the last two required ones are so for that kind alone. */
const drive = strict(
  {
    drive_id: Type.String({ minLength: 1 }),
    is_root_device: Type.Boolean(),
    is_read_only: Type.Boolean(),
    path_on_host: file,
    partuuid: Type.String(),
    cache_type: Type.Enum(['Unsafe', 'Writeback']),
    io_engine: Type.Enum(['Sync', 'Async']),
  },
  ['drive_id', 'is_root_device', 'is_read_only', 'path_on_host'],
)

/** NetworkInterface. */
const networkInterface = strict(
  {
    iface_id: Type.String({ minLength: 1 }),
    host_dev_name: tapName,
    guest_mac: macAddress,
    mtu: Type.Integer({ minimum: 68, maximum: 65_535 }),
  },
  ['iface_id', 'host_dev_name'],
)

/** Vsock. */
const vsock = strict({ guest_cid: guestCid, uds_path: unixSocket }, ['guest_cid', 'uds_path'])

/** EntropyDevice, without a limit of its rate. */
const entropy = strict({}, [])

export const firecrackerConfig = strict(
  {
    'boot-source': bootSource,
    'machine-config': machineConfig,
    drives: Type.Array(drive),
    'network-interfaces': Type.Array(networkInterface),
    vsock,
    entropy,
  },
  ['boot-source', 'drives'],
)

export type FirecrackerConfig = Type.Static<typeof firecrackerConfig>
