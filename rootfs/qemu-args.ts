/** QEMU's command line for one guest. */

import type { Accelerator } from './accel.ts'

export interface Disk {
  file: string
  /** What the guest finds it by, `/sys/block/vdX/serial`; at most 20 characters. */
  serial: string
  /** `ro`: never written. `rw`: the file is. `discard`: written in the guest, forgotten at its end. */
  mode: 'ro' | 'rw' | 'discard'
  /** Where the initramfs mounts it; otherwise it is left alone. */
  mount?: string
}

export interface Machine {
  accelerator: Accelerator
  memoryMiB: number
  cpus: number
  kernel: string
  initramfs: string
  disks: readonly Disk[]
  /** The Unix socket on which the vsock device's host side speaks vhost-user. */
  vhostSocket: string
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
 * On a busy host the kernel measures the speed of translated processors' TSC wrongly, by a factor
 * of ten at times, and its clock would run as wrong. The HPET needs no measuring.
 */
const SOUND_CLOCK = { kvm: [], tcg: ['tsc=unstable'] }
/** A kernel that panics ends the machine at once; with `-no-reboot` QEMU exits. */
const EXIT_ON_PANIC = 'panic=-1'

export function qemuArgs(machine: Machine): string[] {
  const { accelerator, memoryMiB, cpus, disks } = machine
  return [
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-monitor', 'none'],
    // vhost-user's other process reads and writes the guest's memory, so it has to be shared.
    ...['-machine', `q35,accel=${accelerator},memory-backend=memory`],
    ...['-object', `memory-backend-memfd,id=memory,size=${memoryMiB}M,share=on`],
    ...['-m', `${memoryMiB}`, '-smp', `${cpus}`, '-cpu', accelerator === 'kvm' ? 'host' : 'max'],
    ...['-chardev', `socket,id=vsock,reconnect=0,path=${machine.vhostSocket}`],
    ...['-device', 'vhost-user-vsock-pci,chardev=vsock'],
    ...['-serial', `file:${machine.console}`],
    ...['-kernel', machine.kernel, '-initrd', machine.initramfs],
    ...['-append', kernelCommandLine(machine)],
    ...disks.flatMap(diskArgs),
  ]
}

function kernelCommandLine({ accelerator, disks, kernelArgs }: Machine): string {
  const mounts = disks.flatMap(({ serial, mode, mount }) =>
    mount === undefined ? [] : [`guestd.mount=${serial}:${mount}:${mode === 'ro' ? 'ro' : 'rw'}`],
  )
  const words = ['console=ttyS0', EXIT_ON_PANIC, ...FAST_BOOT, ...SOUND_CLOCK[accelerator]]
  return [...words, ...mounts, ...kernelArgs].join(' ')
}

function diskArgs({ file, serial, mode }: Disk): string[] {
  const access = { ro: 'readonly=on', rw: 'readonly=off', discard: 'snapshot=on' }[mode]
  // In QEMU's option syntax a comma in a value is written twice.
  const name = file.replaceAll(',', ',,')
  return [
    ...['-drive', `file=${name},format=raw,if=none,id=${serial},${access}`],
    ...['-device', `virtio-blk-pci,drive=${serial},serial=${serial}`],
  ]
}
