/** Loop devices, the file systems of their files, and the devices on top of them. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { runHelper } from './helper.ts'
import { readText } from './read-text.ts'

export interface LoopDevice {
  /** Such as `/dev/loop3`. */
  readonly path: string
  /** `MAJOR:MINOR` of the file system of its file. */
  readonly backing: string
  /** The current path of its file. */
  readonly file: string
  /** The device itself, its partitions, and the devices on top of them. */
  readonly parts: readonly Part[]
}

export interface Part {
  /** `MAJOR:MINOR` */
  readonly number: string
  /** Such as `/dev/loop3p1`. */
  readonly path: string
  /** No device is on top of it. */
  readonly isLeaf: boolean
  readonly readOnly: boolean
}

const BLOCK = '/sys/block'
/** In milliseconds. The helper opens each loop device and reads no data. */
const LIMIT_MS = 5_000
/** Levels of devices on top of each other. */
const MAX_DEPTH = 8

/**
 * Lists the loop devices that are set up. Without one it starts no process.
 *
 * @param except the path of a loop device to leave out
 * @param limitMs at most 5 s
 * @throws HelperError
 */
export async function listLoops(
  except: string,
  limitMs = LIMIT_MS,
): Promise<readonly LoopDevice[]> {
  const names = loopNames().filter(name => `/dev/${name}` !== except)
  if (names.length === 0) return []
  const printed = (
    await runHelper('backed', [], { limitMs: Math.min(limitMs, LIMIT_MS) })
  ).toString()
  return printed.split('\n').flatMap(line => {
    const [path = '', backing = ''] = line.split(' ')
    const name = path.slice('/dev/'.length)
    if (!names.includes(name)) return []
    const file = read(join(BLOCK, name, 'loop/backing_file'))
    return [{ path, backing, file, parts: partsOf(name, join(BLOCK, name), 0) }]
  })
}

/** Whether the device is still set up for this file, and stays so after its last close. */
export function staysSetUp({ path, file }: LoopDevice): boolean {
  const facts = join(BLOCK, path.slice('/dev/'.length), 'loop')
  return read(join(facts, 'autoclear')) === '0' && read(join(facts, 'backing_file')) === file
}

function loopNames(): readonly string[] {
  if (!existsSync(BLOCK)) return []
  return readdirSync(BLOCK).filter(
    name => name.startsWith('loop') && existsSync(join(BLOCK, name, 'loop')),
  )
}

function partsOf(name: string, folder: string, depth: number): readonly Part[] {
  if (depth > MAX_DEPTH) return []
  const inner = list(folder).filter(one => one.startsWith(`${name}p`))
  const above = list(join(folder, 'holders'))
  const isLeaf = inner.length + above.length === 0
  const readOnly = read(join(folder, 'ro')) === '1'
  const part = { number: read(join(folder, 'dev')), path: `/dev/${name}`, isLeaf, readOnly }
  return [
    part,
    ...inner.flatMap(one => partsOf(one, join(folder, one), depth + 1)),
    ...above.flatMap(one => partsOf(one, join('/sys/class/block', one), depth + 1)),
  ].filter(({ number }) => number !== '')
}

/** Empty when the device has disappeared. */
function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function read(path: string): string {
  return readText(path).trimEnd()
}
