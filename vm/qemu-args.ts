/** QEMU's command line for one guest. */

import type { Accelerator } from './accel.ts'

export interface Disk {
  file: string
  /** What the guest finds it by, `/sys/block/vdX/serial`; at most 20 characters. */
  serial: string
  /** `ro`: never written. `rw`: the file is. `discard`: written in the guest, forgotten at its end. */
  mode: 'ro' | 'rw' | 'discard'
  /**
   * An empty file that gets every write and flush of the guest to an `rw` disk, in the format of
   * Linux's dm-log-writes.
   */
  log?: string
}

/** `pci`: a q35, as a PC is. `mmio`: a microvm, as Firecracker is; it has no keyboard. */
export type Transport = 'pci' | 'mmio'

export interface Machine {
  accelerator: Accelerator
  /** How the guest finds its virtio devices: on a PCI bus, or by ACPI at addresses of their own. */
  transport: Transport
  memoryMiB: number
  cpus: number
  kernel: string
  initramfs: string
  /** The first one is the root, `/dev/vda`. */
  disks: readonly Disk[]
  /** Whether it has a network card, behind QEMU's own NAT with DHCP; nothing outside is reached. */
  network: boolean
  /** The Unix socket for QEMU's own protocol, QMP. */
  qmpSocket: string
  /**
   * The Unix socket on which the vsock device's host side speaks vhost-user. `null`: the machine has
   * no such device, which could not be saved, but free ports to plug it and disks into.
   */
  vhostSocket: string | null
  /** A file with the state that the machine goes on from, paused; absent: it boots. */
  incoming?: string
  /** The file that gets what the guest writes to its console. */
  console: string
  /** Further words for the kernel's command line. */
  kernelArgs: readonly string[]
}

/**
 * Each saves boot time, most of it where instructions are translated: no workarounds for the flaws
 * of real processors, no self-tests, little on the slow serial line.
 */
const FAST_BOOT = [
  ...['quiet', 'systemd.show_status=0', 'audit=0', 'cryptomgr.notests'],
  ...['mitigations=off', 'nokaslr', 'no_timer_check'],
]
/**
 * On a busy host the kernel measures an emulated TSC up to ten times wrong, and its clock runs at that speed. The HPET
 * needs no calibration.
 */
const SOUND_CLOCK = {
  pci: { kvm: [], tcg: ['tsc=unstable'] },
  // Without an HPET, calibration never ends; a given speed skips it.
  mmio: { kvm: [], tcg: ['tsc=unstable', 'tsc_early_khz=2000000'] },
}
const MACHINE = {
  pci: 'q35',
  mmio: 'microvm,acpi=on,pcie=off,pit=on,pic=on,rtc=on,isa-serial=on',
}
/**
 * Translated protection keys (PKU) go wrong now and then, and V8, which guards its code with them,
 * then ends the process ("Check failed: it->second.Size() > offset").
 */
const CPU = { kvm: 'host', tcg: 'max,pku=off' }
/** What QEMU calls a device by, behind its kind. */
const SUFFIX = { pci: 'pci', mmio: 'device' }
/** A kernel that panics ends the machine at once; with `-no-reboot` QEMU exits. */
const EXIT_ON_PANIC = 'panic=-1'

/** A log counts its entries this often, and at each flush: one of a disk that is never flushed grows too. */
const LOG_UPDATE_ENTRIES = 32

export function qemuArgs(machine: Machine): string[] {
  const { accelerator, transport, memoryMiB, cpus, disks } = machine
  return [
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-monitor', 'none'],
    // vhost-user's other process reads and writes the guest's memory, so it has to be shared.
    ...['-machine', `${MACHINE[transport]},accel=${accelerator},memory-backend=memory`],
    ...['-object', `memory-backend-memfd,id=memory,size=${memoryMiB}M,share=on`],
    ...['-m', `${memoryMiB}`, '-smp', `${cpus}`, '-cpu', CPU[accelerator]],
    ...vsockArgs(machine),
    ...['-serial', `file:${machine.console}`],
    ...['-kernel', machine.kernel, '-initrd', machine.initramfs],
    ...['-append', kernelCommandLine(machine)],
    ...['-qmp', `unix:${machine.qmpSocket},server=on,wait=off`],
    ...disks.flatMap(disk => diskArgs(disk, transport)),
    ...(machine.network ? networkArgs(transport) : []),
    ...(machine.incoming === undefined ? [] : incomingArgs(machine.incoming)),
  ]
}

/** Names of the ports of a machine without a vsock device. */
export const PORTS = ['port1', 'port2', 'port3'] as const

function vsockArgs({ vhostSocket, transport }: Machine): string[] {
  if (vhostSocket === null) {
    return PORTS.flatMap((id, index) => [
      ...['-device', `pcie-root-port,id=${id},chassis=${index + 1},slot=${index + 1}`],
    ])
  }
  return [
    ...['-chardev', `socket,id=vsock,reconnect=0,path=${vhostSocket}`],
    ...['-device', `vhost-user-vsock-${SUFFIX[transport]},chardev=vsock`],
  ]
}

/** QEMU gives the command to a shell. */
function incomingArgs(file: string): string[] {
  return ['-S', '-incoming', `exec:cat ${shellQuoted(file)}`]
}

export function shellQuoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}

function kernelCommandLine({ accelerator, transport, kernelArgs }: Machine): string {
  const words = [
    'console=ttyS0',
    EXIT_ON_PANIC,
    ...FAST_BOOT,
    ...SOUND_CLOCK[transport][accelerator],
  ]
  return [...words, ...kernelArgs].join(' ')
}

function networkArgs(transport: Transport): string[] {
  const device = `virtio-net-${SUFFIX[transport]},netdev=net`
  return ['-netdev', 'user,id=net,restrict=on', '-device', device]
}

function diskArgs(disk: Disk, transport: Transport): string[] {
  const { file, serial, mode, log } = disk
  const access = { ro: 'readonly=on', rw: 'readonly=off,discard=unmap', discard: 'snapshot=on' }[
    mode
  ]
  const device = `virtio-blk-${SUFFIX[transport]},drive=${serial},serial=${serial}`
  if (log !== undefined) return [...loggedDriveArgs(file, log, serial), '-device', device]
  const drive = `file=${escaped(file)},format=raw,if=none,id=${serial},${access}`
  return ['-drive', drive, '-device', device]
}

/** `-drive` knows no chain of block drivers. */
function loggedDriveArgs(file: string, log: string, id: string): string[] {
  const logged = `log-sector-size=512,log-super-update-interval=${LOG_UPDATE_ENTRIES}`
  const nodes = [
    `driver=file,filename=${escaped(file)},node-name=${id}-file,discard=unmap`,
    `driver=file,filename=${escaped(log)},node-name=${id}-log`,
    `driver=blklogwrites,node-name=${id},file=${id}-file,log=${id}-log,${logged},discard=unmap`,
  ]
  return nodes.flatMap(node => ['-blockdev', node])
}

/** In QEMU's option syntax a comma in a value is written twice. */
function escaped(value: string): string {
  return value.replaceAll(',', ',,')
}
