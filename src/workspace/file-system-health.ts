/** Watches whether the file system of a mounted volume takes writes, and has the size that it was mounted with. */

import type { Emit } from '../events/event-log.ts'
import type { Log } from '../log.ts'
import { listMounts, type Mount } from '../sys/mounts.ts'
import { errorsOf, errorWords, FAILED } from './ext4-errors.ts'
import type { Volume } from './types.ts'
import { sizeOf } from './usage.ts'

export interface Health {
  /** Why the volume cannot be used; `null`: it can. Reports each new problem. Never fails. */
  look(): string | null
  /** Why flushed data may not be on the device; `null`: no failure is known. Never fails. */
  failure(): string | null
  /** To be called when a flush finds that the file system takes no writes. This holds until the next mount. */
  refused(reason: string): void
  /** Checks only the size, which takes some microseconds. @throws Error of statfs(2) */
  lookAtSize(): void
}

export function watchHealth({ device, fd, path }: Volume, log: Log, emit: Emit): Health {
  const size = sizeOf(fd)
  let refusal: string | null = null
  let resized: string | null = null
  let reported: string | null = null

  const report = (reason: string | null) => {
    if (reason !== null && reason !== reported) {
      log.error({ path, reason }, 'the file system of the workspace has a problem')
      emit({ type: 'workspace_unavailable', reason })
    }
    reported = reason
    return reason
  }
  const failureOf = (mount: Mount | null): string | null => {
    // The check before the mount clears all errors. After a takeover, earlier errors count too.
    const errors = errorsOf(device.name)
    if (errors > 0) return errorWords(errors, device.name)
    return mount !== null && hasFailed(mount) ? `${FAILED}: it takes no writes` : refusal
  }
  const look = () => {
    const mount = mountOf(device.number)
    const readOnly = mount?.readOnly ? 'its file system is mounted read-only' : null
    return report(failureOf(mount) ?? resized ?? readOnly)
  }

  return {
    look,
    failure: () => failureOf(mountOf(device.number)),
    refused(reason) {
      refusal ??= `${FAILED}: ${reason}`
      look()
    },
    lookAtSize() {
      const now = sizeOf(fd)
      if (now === size || resized !== null) return
      resized = `${resizedText(size, now)}: the stop will not be clean`
      look()
    },
  }
}

/** @param before in bytes */
export function resizedText(before: number, now: number): string {
  return `its file system was resized while it was in use, from ${before} to ${now} bytes`
}

/** Super options that Linux 6.12 and later set, where earlier kernels make the mount read-only. */
const FAILED_OPTIONS = ['emergency_ro', 'shutdown']

/** It was shut down, or the kernel stopped writing after an error. */
export function hasFailed({ superOptions }: Mount): boolean {
  return FAILED_OPTIONS.some(option => superOptions.includes(option))
}

function mountOf(device: string): Mount | null {
  try {
    return listMounts().find(mount => mount.device === device) ?? null
  } catch {
    return null
  }
}
