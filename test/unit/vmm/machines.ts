/** The two configurations as one kind of machine, and what is wrong with one. */

import type { TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { type CloudHypervisorConfig, cloudHypervisorConfig } from './cloud-hypervisor-schema.ts'
import { type FirecrackerConfig, firecrackerConfig } from './firecracker-schema.ts'
import { readJson } from './parts.ts'

export interface Vmm {
  readonly name: string
  readonly schema: TSchema
  /** As it is in the file. */
  readonly config: object
  readonly kernel: string | undefined
  readonly initramfs: string | undefined
  readonly bootWords: readonly string[]
  /** In the order in which the guest finds them: /dev/vda, /dev/vdb. */
  readonly disks: readonly { file: string; readOnly: boolean; flushes: boolean }[]
  readonly socket: string | undefined
  readonly memoryBytes: number
}

const MIB = 1024 * 1024

/** Where and why a value is not what the schema asks for. */
export function faults(schema: TSchema, value: unknown): string[] {
  return Value.Errors(schema, value).map(
    ({ instancePath, message }) => `${instancePath} ${message}`,
  )
}

// Of the types that a test of their own shows them to have.
export const firecracker = firecrackerMachine(
  readJson('vm/vmm/firecracker.json') as FirecrackerConfig,
)
export const cloudHypervisor = cloudHypervisorMachine(
  readJson('vm/vmm/cloud-hypervisor.json') as CloudHypervisorConfig,
)

function firecrackerMachine(config: FirecrackerConfig): Vmm {
  const boot = config['boot-source']
  return {
    name: 'Firecracker',
    schema: firecrackerConfig,
    config,
    kernel: boot.kernel_image_path,
    initramfs: boot.initrd_path,
    bootWords: boot.boot_args?.split(' ') ?? [],
    disks: config.drives.map(drive => ({
      file: drive.path_on_host,
      readOnly: drive.is_read_only,
      // "Unsafe", the default, acknowledges the guest's flushes and does nothing.
      flushes: drive.cache_type === 'Writeback',
    })),
    socket: config.vsock?.uds_path,
    memoryBytes: (config['machine-config']?.mem_size_mib ?? 0) * MIB,
  }
}

function cloudHypervisorMachine(config: CloudHypervisorConfig): Vmm {
  return {
    name: 'Cloud Hypervisor',
    schema: cloudHypervisorConfig,
    config,
    kernel: config.payload.kernel,
    initramfs: config.payload.initramfs,
    bootWords: config.payload.cmdline?.split(' ') ?? [],
    disks: (config.disks ?? []).map(disk => ({
      file: disk.path,
      readOnly: disk.readonly ?? false,
      // A flush is always an fsync. A raw image that is not called raw may not write its sector 0.
      flushes: disk.image_type === 'Raw',
    })),
    socket: config.vsock?.socket,
    memoryBytes: config.memory?.size ?? 0,
  }
}
