/** Makes durable what is written to file systems on loop devices of the volume's files: a flush of the volume does not see it. */
import { HelperError, runHelper } from '../sys/helper.ts'
import type { LoopDevice } from '../sys/loops.ts'
import type { Mount } from '../sys/mounts.ts'
import { listSwaps } from '../sys/swaps.ts'
import { messageOf } from '../util/message-of.ts'
import { findDependents, loopWords, mountWords, type Place } from './clear-mounts.ts'
import type { Dependents } from './dependents.ts'

type How = 'sync' | 'shutdown' | 'device'

/** Each in words. */
export interface Drained {
  /** Failed writes. The kernel reports each of them once, so no later call finds it again. */
  readonly lost: readonly string[]
  /** What may not be on the volume yet. A later call may write it out. */
  readonly uncovered: readonly string[]
}

/** One call of the helper. */
interface Step {
  readonly how: How
  /** The `mnt_id` of a mount. For a device: `leaf` where nothing that guestd sees uses it, else `shared`. */
  readonly id: string
  readonly path: string
  readonly words: string
}

/** Steps at once: with paths of 4 KiB they still are what execve(2) takes. */
const MAX_STEPS = 128
/** A mount may go between the search and the call. */
const ATTEMPTS = 2
/** Of each list: a reader needs no more names than this. */
const MAX_WORDS = 8
const NOTHING: Drained = { lost: [], uncovered: [] }

/**
 * The innermost first: its file system, then its loop device. Where there is no loop device it takes a tenth of a millisecond.
 * Never fails.
 */
export function drainInner(place: Place, limitMs: number): Promise<Drained> {
  return run(place, limitMs, 'sync')
}

/** Before the volume is shut down: later writes to them get an error, too. Returns and costs as {@link drainInner}. */
export function shutDownInner(place: Place, limitMs: number): Promise<Drained> {
  return run(place, limitMs, 'shutdown')
}

/** What was unmounted or taken apart meanwhile is not found again. */
async function run(place: Place, limitMs: number, how: 'sync' | 'shutdown'): Promise<Drained> {
  const first = await tryAll(place, limitMs / ATTEMPTS, how)
  if (first.lost.length + first.uncovered.length === 0) return first
  const { lost, uncovered } = await tryAll(place, limitMs / ATTEMPTS, how)
  // The second attempt does not get the errors that the first one got.
  return { lost: [...new Set([...first.lost, ...lost])].slice(0, MAX_WORDS), uncovered }
}

async function tryAll(place: Place, limitMs: number, how: 'sync' | 'shutdown'): Promise<Drained> {
  try {
    const found = await findDependents(place)
    if (found.loops.length === 0) return NOTHING
    const all = found.loops.toReversed().flatMap(loop => stepsOf(loop, found, how))
    const more = all.length > MAX_STEPS ? ['more devices on the workspace are not flushed'] : []
    const { lost, uncovered } = await drain(all.slice(0, MAX_STEPS), limitMs)
    return { lost, uncovered: [...more, ...uncovered].slice(0, MAX_WORDS) }
  } catch (error) {
    return { lost: [], uncovered: [notFlushed(error)] }
  }
}

async function drain(steps: readonly Step[], limitMs: number): Promise<Drained> {
  const args = steps.flatMap(({ how, id, path }) => [how, id, path])
  try {
    return read(steps, await runHelper('drain', args, { limitMs }))
  } catch (error) {
    // What it printed before it was killed is not reported again.
    const printed = error instanceof HelperError ? error.printed : null
    const { lost, uncovered } = printed === null ? NOTHING : read(steps, printed)
    return { lost, uncovered: [notFlushed(error), ...uncovered] }
  }
}

/** Of each step that failed it printed a line: "INDEX CALL ERRNO". */
function read(steps: readonly Step[], printed: Buffer): Drained {
  const failed = printed
    .toString()
    .split('\n')
    .flatMap(line => {
      const [index = '', call = '', errno = ''] = line.split(' ')
      const step = index === '' ? undefined : steps[Number(index)]
      if (step === undefined || errno === '') return []
      const isLost = call === 'syncfs' || call === 'fsync' || (call === 'ioctl' && errno === 'EIO')
      return [{ isLost, words: `${step.words} is not flushed: ${call}: ${errno}` }]
    })
  const wordsOf = (isLost: boolean) =>
    failed.flatMap(one => (one.isLost === isLost ? [one.words] : [])).slice(0, MAX_WORDS)
  return { lost: wordsOf(true), uncovered: wordsOf(false) }
}

const notFlushed = (error: unknown) =>
  `file systems on the workspace are not flushed: ${messageOf(error)}`

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
