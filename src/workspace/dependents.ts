/**
 * Finds what keeps a volume busy besides processes: mounts in its folders and over them, other mounts of the same file system,
 * loop devices and swap of files on it, and what is on those in turn. Pure.
 */
import type { LoopDevice } from '../sys/loops.ts'
import { decodeOctal, type Mount } from '../sys/mounts.ts'

export interface Dependents {
  /** In the order of the list, without the mount of the volume itself. */
  readonly mounts: readonly Mount[]
  readonly loops: readonly LoopDevice[]
  readonly swaps: readonly string[]
}

/** The most mounts that are inspected. Root can make 100,000. */
const MAX_MOUNTS = 5_000
/** Depth of loop devices on loop devices. */
const MAX_PASSES = 16

export interface Found {
  readonly mounts: readonly Mount[]
  readonly loops: readonly LoopDevice[]
  /** Files and devices in use as swap. */
  readonly swaps: readonly string[]
}

/**
 * A file system is on the volume if every mount of it is in a folder of the volume. If it is also mounted elsewhere, as by
 * `mount --bind`, only its mounts in the volume are dependents.
 *
 * @param device `MAJOR:MINOR` of the volume
 * @param path where the volume is mounted
 */
export function dependentsOf(device: string, path: string, found: Found): Dependents {
  const mounts = found.mounts.slice(0, MAX_MOUNTS)
  const own = mounts.find(mount => mount.device === device && mount.at === path) ?? null
  const devices = new Set([device])
  const on = new Set<Mount>(own === null ? [] : [own])
  const loops = new Set<LoopDevice>()
  const byId = new Map(mounts.map(mount => [mount.id, mount]))
  const isOn = (file: string) => {
    const above = mountAbove(mounts, file)
    return above !== null && on.has(above)
  }
  const dependsOn = (mount: Mount): boolean => {
    const parent = byId.get(mount.parent)
    if (devices.has(mount.device) || (parent !== undefined && on.has(parent))) return true
    return mount.type === 'overlay' && layersOf(mount).some(isOn)
  }
  const sizes = () => on.size + loops.size + devices.size
  for (let pass = 0, before = -1; pass < MAX_PASSES && before !== sizes(); pass++) {
    before = sizes()
    for (const mount of mounts) if (!on.has(mount) && dependsOn(mount)) on.add(mount)
    for (const number of onlyIn(on, mounts)) devices.add(number)
    for (const loop of found.loops) {
      if (!devices.has(loop.backing)) continue
      loops.add(loop)
      for (const { number } of loop.parts) devices.add(number)
    }
  }
  const loopPaths = [...loops].flatMap(({ path, parts }) => [path, ...parts.map(part => part.path)])
  return {
    mounts: mounts.filter(mount => mount !== own && on.has(mount)),
    loops: [...loops],
    swaps: found.swaps.filter(file => loopPaths.includes(file) || isOn(file)),
  }
}

/** Those of the mounts that propagate to a peer or a slave elsewhere: an unmount in them would happen there too. */
export function sharedOutside(inner: readonly Mount[], all: readonly Mount[]): readonly Mount[] {
  const ids = new Set(inner.map(({ id }) => id))
  const outside = new Set(
    all.flatMap(({ id, sharedIn, learnsFrom }) => (ids.has(id) ? [] : [sharedIn, ...learnsFrom])),
  )
  return inner.filter(({ sharedIn }) => sharedIn !== null && outside.has(sharedIn))
}

/** The mounts over the volume, which hide it, and the mounts in them. */
export function mountsOver(device: string, path: string, all: readonly Mount[]): readonly Mount[] {
  const own = all.find(mount => mount.device === device && mount.at === path)
  if (own === undefined) return []
  const over = new Set<string>()
  return all.slice(0, MAX_MOUNTS).filter(({ id, parent, at }) => {
    const isOver = over.has(parent) || (parent === own.id && at === path)
    if (isOver) over.add(id)
    return isOver
  })
}

/** Devices with no mount outside of `on`. */
function onlyIn(on: ReadonlySet<Mount>, mounts: readonly Mount[]): readonly string[] {
  const elsewhere = new Set(mounts.flatMap(mount => (on.has(mount) ? [] : [mount.device])))
  return [...on].map(({ device }) => device).filter(device => !elsewhere.has(device))
}

/** `lowerdir=/a:/b,upperdir=/c,workdir=/d`: an overlay keeps the file systems of all of them busy. */
function layersOf({ superOptions }: Mount): readonly string[] {
  return superOptions.flatMap(option => {
    const [, folders = ''] = /^(?:lowerdir\+?|upperdir|workdir|datadir\+?)=(.*)/.exec(option) ?? []
    return decodeOctal(folders)
      .split(':')
      .filter(folder => folder.startsWith('/'))
  })
}

/** The mount that a path is in. Of several at one path, the last one counts. */
function mountAbove(mounts: readonly Mount[], path: string): Mount | null {
  let best: Mount | null = null
  for (const mount of mounts) {
    const isIn = mount.at === '/' || path === mount.at || path.startsWith(`${mount.at}/`)
    if (isIn && mount.at.length >= (best?.at.length ?? 0)) best = mount
  }
  return best
}
