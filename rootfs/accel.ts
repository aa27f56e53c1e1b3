/** Whether this host can run a guest on KVM, or QEMU has to translate every instruction. */

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { execa } from 'execa'
import { createTempFolder } from './temp-folder.ts'
import { findTool } from './tools.ts'

export type Accelerator = 'kvm' | 'tcg'

/** A kernel on KVM panics for want of a root within a second; a broken KVM hangs or aborts. */
const PROBE_LIMIT_MS = 10_000

/**
 * KVM if a kernel really boots on it: a `/dev/kvm` that opens proves nothing inside a virtual
 * machine. `GUESTD_VM_ACCEL=tcg|kvm` decides without a probe.
 */
export async function chooseAccelerator(kernel: string): Promise<Accelerator> {
  const wish = process.env.GUESTD_VM_ACCEL
  if (wish === 'tcg' || wish === 'kvm') return wish
  probe ??= bootsOnKvm(kernel)
  return (await probe) ? 'kvm' : 'tcg'
}

let probe: Promise<boolean> | undefined

async function bootsOnKvm(kernel: string): Promise<boolean> {
  const folder = await createTempFolder('kvm')
  try {
    const console = path.join(folder.path, 'console.log')
    const qemu = await findTool('qemu-system-x86_64')
    const args = [
      ...['-machine', 'q35,accel=kvm', '-cpu', 'host', '-m', '256', '-nodefaults', '-no-reboot'],
      ...['-display', 'none', '-monitor', 'none', '-serial', `file:${console}`],
      ...['-kernel', kernel, '-append', 'console=ttyS0 panic=-1'],
    ]
    const result = await execa(qemu, args, {
      reject: false,
      timeout: PROBE_LIMIT_MS,
      killSignal: 'SIGKILL',
    })
    if (result.failed) return false
    return (await readFile(console, 'utf8')).includes('Kernel panic')
  } finally {
    await folder.remove()
  }
}
