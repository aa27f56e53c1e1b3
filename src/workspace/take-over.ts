/** The mount that an earlier guestd left: whether there is one, and whether it can be used. */
import { fstatSync } from 'node:fs'
import { type BlockDevice, listBlockDevices, numberOf } from '../sys/block-devices.ts'
import { runHelper } from '../sys/helper.ts'
import { listMounts, type Mount, mountAt } from '../sys/mounts.ts'
import { messageOf } from '../util/message-of.ts'
import { unavailable } from '../volume/unavailable.ts'
import { clear, uncover } from './clear-mounts.ts'
import { mountsOver } from './dependents.ts'
import { describeHolders } from './describe-holders.ts'
import { errorsOf } from './ext4-errors.ts'
import { MOUNT_LIMIT_MS, PROBE_LIMIT_MS } from './mount-limits.ts'

/** @throws GuestdError `workspace_unavailable` if something else is mounted there, or the mount is read-only */
export function isMountedAt(device: BlockDevice, path: string): boolean {
  const mount = mountAt(path)
  if (mount === null) return false
  if (mount.device !== device.number && mountsOver(device.number, path, listMounts()).length > 0)
    return true
  if (mount.device !== device.number) {
    const name = deviceText(mount.source, mount.type, backingFileOf(mount))
    throw unavailable(`${name} is mounted at ${path} already`)
  }
  // The kernel makes it read-only after an error: then it is unmounted, checked and mounted again.
  if (mount.readOnly && errorsOf(device.name) === 0)
    throw unavailable(`${device.path} is mounted at ${path} read-only`)
  return true
}

/**
 * Whether the mount can be used as it is. A mount that refuses writes, such as after a shutdown of its file
 * system, is unmounted as soon as it is not busy.
 *
 * @throws GuestdError `workspace_unavailable` if it is busy, or hidden by another mount
 */
export async function takeOver(device: BlockDevice, path: string): Promise<boolean> {
  const [over] = await uncover({ device, path })
  if (over !== undefined) {
    const by = await describeHolders(device, [over])
    throw unavailable(`${device.path} is mounted at ${path}, and hidden by ${by}`)
  }
  try {
    await runHelper('probe', [path], { limitMs: PROBE_LIMIT_MS })
    return true
  } catch (error) {
    const reason = messageOf(error)
    const { left } = await clear({ device, path })
    try {
      await runHelper('unmount', [path], { limitMs: MOUNT_LIMIT_MS })
      return false
    } catch {
      const by = await describeHolders(device, left)
      const held = by === '' ? '' : `, in use by ${by}`
      throw unavailable(`${device.path} is mounted at ${path}, cannot be written${held}: ${reason}`)
    }
  }
}

/** The descriptor, if it is open on this file system: only then it has seen its errors. */
export function usableFd(fd: number | null, device: BlockDevice): number | null {
  if (fd === null) return null
  try {
    const stats = fstatSync(fd, { bigint: true })
    return stats.isDirectory() && numberOf(stats.dev) === device.number ? fd : null
  } catch {
    return null
  }
}

/** "/dev/loop0 (ext4, /var/lib/volume.img)": the path of a loop device does not say which file it shows. */
export function deviceText(name: string, ...facts: readonly (string | null)[]): string {
  const known = facts.filter(fact => fact !== null)
  return known.length === 0 ? name : `${name} (${known.join(', ')})`
}

function backingFileOf({ device }: Mount): string | null {
  return listBlockDevices().find(({ number }) => number === device)?.backingFile ?? null
}
