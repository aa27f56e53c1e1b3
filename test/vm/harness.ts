/** A booted guest for a test, and guestctl as the host's way into it. */

import { type RestoreOptions, restoreVm } from '../../vm/restore.ts'
import { startVm, type Vm, type VmOptions } from '../../vm/vm.ts'
import { type Ended, type GuestctlOptions, guestctl } from '../helpers/guestctl.ts'
import type { Teardown } from '../helpers/guestd.ts'

/** What a machine needs of tap's `t`. */
export interface VmTest extends Teardown {
  setTimeout(ms: number): void
}

export interface Guest extends Vm {
  /** guestctl with any arguments, connected to this guest. */
  guestctl: (args: readonly string[], options?: GuestctlOptions) => Promise<Ended>
  /** A script in the guest, as its default user. */
  run: (script: string, options?: GuestctlOptions) => Promise<Ended>
  /** A script in the guest, as root. */
  runAsRoot: (script: string, options?: GuestctlOptions) => Promise<Ended>
}

/** tap's own 30 s are too short for a boot on a busy host; a test that hangs still ends. */
const TEST_LIMIT_MS = 10 * 60_000

/** Boots a machine that ends with the test. @throws VmError with the end of its console */
export async function bootGuest(t: VmTest, options: VmOptions = {}): Promise<Guest> {
  t.setTimeout(TEST_LIMIT_MS)
  return guestOf(t, await startVm(options))
}

/**
 * A machine that has booted before, for tests whose subject is not the boot: restored within seconds,
 * and ended with the test. `restoreVm` says what such machines have in common, and that their clock
 * stands at the save. @throws VmError with the end of its console
 */
export async function restoreGuest(t: VmTest, options: RestoreOptions = {}): Promise<Guest> {
  t.setTimeout(TEST_LIMIT_MS)
  return guestOf(t, await restoreVm(options))
}

function guestOf(t: VmTest, vm: Vm): Guest {
  t.teardown(() => vm.stop())
  const call: Guest['guestctl'] = (args, options) =>
    guestctl(args, { connect: vm.connect, ...options })
  return {
    ...vm,
    guestctl: call,
    run: (script, options) => call(['run', '--', script], options),
    runAsRoot: (script, options) => call(['run', '-u', 'root', '--', script], options),
  }
}
