/** Makes durable what is written to file systems on loop devices of the volume's files: a flush of the volume does not see it. */
import { runHelper } from '../sys/helper.ts'
import type { LoopDevice } from '../sys/loops.ts'
import type { Mount } from '../sys/mounts.ts'
import { listSwaps } from '../sys/swaps.ts'
import { messageOf } from '../util/message-of.ts'
import { findDependents, loopWords, mountWords, type Place } from './clear.ts'
import type { Dependents } from './dependents.ts'

type How = 'sync' | 'shutdown' | 'device'

/** One call of the helper. */
interface Step {
  readonly how: How
  /** The mount; or whether nothing but a mount here may have the device. */
  readonly id: string
  readonly path: string
  readonly words: string
}

/** Steps at once: with paths of 4 KiB they still are what execve(2) takes. */
const MAX_STEPS = 128
/** A mount may go between the search and the call. */
const ATTEMPTS = 2
/** More names help nobody. */
const MAX_UNCOVERED = 8

/**
 * The innermost first: its file system, then its loop device. Where there is no loop device it takes a tenth of a millisecond.
 *
 * @returns what may not be on the volume, in words. Never fails
 */
export function drainInner(place: Place, limitMs: number): Promise<readonly string[]> {
  return run(place, limitMs, 'sync')
}

/** Before the volume is shut down: later writes to them get an error, too. Returns and costs as {@link drainInner}. */
export function shutDownInner(place: Place, limitMs: number): Promise<readonly string[]> {
  return run(place, limitMs, 'shutdown')
}

/** What was unmounted or taken apart meanwhile is not found again. */
async function run(
  place: Place,
  limitMs: number,
  how: 'sync' | 'shutdown',
): Promise<readonly string[]> {
  const failed = await tryAll(place, limitMs / ATTEMPTS, how)
  return failed.length === 0 ? failed : await tryAll(place, limitMs / ATTEMPTS, how)
}

async function tryAll(
  place: Place,
  limitMs: number,
  how: 'sync' | 'shutdown',
): Promise<readonly string[]> {
  try {
    const found = await findDependents(place)
    if (found.loops.length === 0) return []
    const all = found.loops.toReversed().flatMap(loop => stepsOf(loop, found, how))
    const steps = all.slice(0, MAX_STEPS)
    const args = steps.flatMap(({ how, id, path }) => [how, id, path])
    const printed = (await runHelper('drain', args, { limitMs })).toString()
    const failed = printed.split('\n').flatMap(line => {
      const [index = '', ...why] = line.split(' ')
      const step = index === '' ? undefined : steps[Number(index)]
      return step === undefined ? [] : [`${step.words} is not flushed: ${why.join(': ')}`]
    })
    const more = all.length > MAX_STEPS ? ['more devices on the workspace are not flushed'] : []
    return [...more, ...failed].slice(0, MAX_UNCOVERED)
  } catch (error) {
    return [`file systems on the workspace are not flushed: ${messageOf(error)}`]
  }
}

function stepsOf(loop: LoopDevice, { mounts }: Dependents, how: 'sync' | 'shutdown'): Step[] {
  const swaps = listSwaps()
  const words = loopWords(loop)
  return loop.parts.toReversed().flatMap(({ number, path, isLeaf, readOnly }) => {
    if (readOnly) return []
    const mount = mounts.findLast(one => one.device === number)
    const used = mount !== undefined || !isLeaf || swaps.includes(path)
    const id = used ? 'shared' : 'leaf'
    const device: Step = { how: 'device', id, path, words }
    return mount === undefined ? [device] : [inner(mount, how), device]
  })
}

function inner(mount: Mount, how: How): Step {
  return { how, id: mount.id, path: mount.at, words: mountWords(mount) }
}
