/** Loop devices, the file systems that their files are on, and the devices that are made of them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runHelper } from './helper.ts'

export interface LoopDevice {
  /** Such as `/dev/loop3`. */
  readonly path: string
  /** `MAJOR:MINOR` of the file system that its file is on. */
  readonly backing: string
  /** Its file, as the kernel names it now. */
  readonly file: string
  /** It, its partitions, and devices made of them. */
  readonly parts: readonly Part[]
}

export interface Part {
  /** `MAJOR:MINOR` */
  readonly number: string
  /** Such as `/dev/loop3p1`. */
  readonly path: string
  /** Nothing is made of it. */
  readonly isLeaf: boolean
  readonly readOnly: boolean
}

const BLOCK = '/sys/block'
/** It opens each loop device, and reads nothing. */
const LIMIT_MS = 5_000
/** A device made of a device made of a device, and so on. */
const MAX_DEPTH = 8

/**
 * Those that are set up. Where there are none no process is started.
 *
 * @param except the path of one that does not count
 * @param limitMs 5 s at most
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

/** Whether it still is set up for this file, and its last close does not take it apart. */
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

/** A device may go while it is looked at. */
function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd()
  } catch {
    return ''
  }
}
