/** Whether this host can run a guest on KVM, or QEMU has to translate every instruction. */

import { existsSync } from 'node:fs'
import { access, constants, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { execa } from 'execa'
import { cached } from '../rootfs/cache.ts'
import { contentKey } from '../rootfs/content-key.ts'
import { createTempFolder } from '../rootfs/temp-folder.ts'
import { findTool } from '../rootfs/tools.ts'

export type Accelerator = 'kvm' | 'tcg'

/** A kernel on KVM panics within a second because it has no root; a broken KVM hangs or aborts. */
const PROBE_LIMIT_MS = 10_000

/**
 * KVM if a kernel really boots on it: a `/dev/kvm` that opens proves nothing inside a virtual
 * machine. A KVM that hangs costs the whole limit, so the cache keeps the answer until the host
 * boots, for a day at most. `GUESTD_VM_ACCEL=tcg|kvm` decides without a probe.
 */
export async function chooseAccelerator(kernel: string): Promise<Accelerator> {
  const wish = process.env.GUESTD_VM_ACCEL
  if (wish === 'tcg' || wish === 'kvm') return wish
  const folder = await cached({
    kind: 'accelerator',
    key: await acceleratorKey(),
    build: async folder => {
      const answer: Accelerator = (await bootsOnKvm(kernel)) ? 'kvm' : 'tcg'
      await writeFile(path.join(folder, answer), '')
    },
  })
  return existsSync(path.join(folder, 'kvm')) ? 'kvm' : 'tcg'
}

/** The key under which the cache keeps the answer: all that it may depend on. */
export async function acceleratorKey(): Promise<string> {
  const qemu = await findTool('qemu-system-x86_64')
  const { stdout: version } = await execa(qemu, ['--version'])
  const device = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => 'open',
    () => 'closed',
  )
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
  const day = new Date().toISOString().slice(0, 'YYYY-MM-DD'.length)
  return await contentKey([version, device, String(process.getuid?.()), boot, day], [])
}

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
