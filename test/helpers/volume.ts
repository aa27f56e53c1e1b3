/** Real ext4 on loop devices for tests: made as root, and taken apart with the test. */
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MARK_AREA_BYTES } from '../../src/volume/mark.ts'
import { makeScratch } from './scratch.ts'

const MIB = 1024 * 1024

interface Test {
  teardown(undo: () => void): void
}

export interface ImageOptions {
  readonly mib?: number
  readonly label?: string
  /** Leaves the place for a mark after the file system. */
  readonly mark?: boolean
  /** More arguments for mke2fs. */
  readonly mkfs?: readonly string[]
}

/** Runs a program to its end; its stdout. */
export function run(program: string, ...args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** A file of zeros. */
export function makeBlank(t: Test, mib = 32): string {
  const path = join(makeScratch(t), 'volume.img')
  writeFileSync(path, '')
  truncateSync(path, mib * MIB)
  return path
}

/** A file with a fresh ext4. */
export function makeImage(
  t: Test,
  { mib = 32, label = '', mark = false, mkfs = [] }: ImageOptions = {},
): string {
  const path = makeBlank(t, mib)
  run('mke2fs', '-q', '-t', 'ext4', '-L', label, '-E', 'nodiscard', ...mkfs, path)
  if (mark) truncateSync(path, mib * MIB + MARK_AREA_BYTES)
  return path
}

/** A loop device of a file, gone with the test. */
export function attach(t: Test, image: string, ...options: string[]): string {
  const device = run('losetup', '--find', '--show', ...options, image).trim()
  t.teardown(() => {
    // When it was detached before, its number may belong to another test by now.
    if (!loopsOf(image).includes(device)) return
    while (spawnSync('umount', [device]).status === 0);
    spawnSync('losetup', ['--detach', device])
  })
  return device
}

function loopsOf(image: string): readonly string[] {
  const args = ['--associated', image, '--output', 'NAME', '--noheadings']
  const { stdout } = spawnSync('losetup', args, { encoding: 'utf8' })
  return stdout.split('\n').map(line => line.trim())
}

/** A folder to mount at, whatever is mounted there taken away with the test. */
export function makeMountPoint(t: Test): string {
  const scratch = makeScratch(t)
  // Every user may pass.
  chmodSync(scratch, 0o755)
  const path = join(scratch, 'mnt')
  mkdirSync(path)
  t.teardown(() => {
    while (spawnSync('umount', [path]).status === 0);
  })
  return path
}

/** What `e2fsck -fn` says of it: 0 is clean (e2fsck(8)). */
export function fsck(path: string): { readonly status: number | null; readonly text: string } {
  const { status, stdout } = spawnSync('e2fsck', ['-fn', path], { encoding: 'utf8' })
  return { status, text: stdout }
}

/** The mount options of what is mounted at a place; `null` where nothing is. */
export function mountOptions(path: string): string | null {
  const { status, stdout } = spawnSync('findmnt', ['-nro', 'OPTIONS', '--mountpoint', path], {
    encoding: 'utf8',
  })
  return status === 0 ? stdout.trim() : null
}

/** FS_IOC_SHUTDOWN of ext4 with this argument, in Python. */
const SHUTDOWN = `import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", int(sys.argv[2])))`

/** Arguments of FS_IOC_SHUTDOWN: EXT4_GOING_FLAGS_LOGFLUSH and EXT4_GOING_FLAGS_NOLOGFLUSH. */
const goingFlags = { journal: 1, nothing: 2 } as const

/**
 * Ends the mounted ext4 as a power cut does: what is not durable is dropped.
 *
 * @param written `journal`: the journal is written first, so that there is one to replay
 */
export function cutPower(mountPoint: string, written: keyof typeof goingFlags): void {
  run('python3', '-c', SHUTDOWN, mountPoint, String(goingFlags[written]))
}
