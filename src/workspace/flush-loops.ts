/**
 * Makes data durable that is on loop devices of files in the volume: a flush of the volume does not reach the file
 * systems on them.
 */
import { HelperError, runHelper } from '../sys/helper.ts'
import type { LoopDevice } from '../sys/loops.ts'
import type { Mount } from '../sys/mounts.ts'
import { listSwaps } from '../sys/swaps.ts'
import { messageOf } from '../util/message-of.ts'
import { findDependents, loopText, mountText, type Place } from './clear-mounts.ts'
import type { Dependents } from './dependents.ts'

/** `shutdown` also makes later writes fail. */
type Mode = 'sync' | 'shutdown'

/** Texts for people. */
export interface Drained {
  /** Failed writes. The kernel reports each of them once, so no later call finds it again. */
  readonly lost: readonly string[]
  /** Data that may not be on the volume yet. A later call may write it. */
  readonly uncovered: readonly string[]
}

export interface InnerLoops {
  /**
   * Looks for loop devices of files on the volume. Without any loop device in the machine it takes 0.1 ms, else the
   * start of one process. Never fails.
   */
  find(limitMs: number): Promise<FoundLoops>
}

export interface FoundLoops {
  /** There are loop devices of files on the volume. */
  readonly present: boolean
  /**
   * Flushes them within the limit, the innermost first: its file system, then its loop device. After a failed search
   * it returns why. Never fails.
   */
  drain(limitMs: number): Promise<Drained>
}

/** One call of the helper. */
interface Step {
  readonly how: Mode | 'device'
  /** The `mnt_id` of a mount. For a device: `leaf` if guestd sees no user of it, else `shared`. */
  readonly id: string
  readonly path: string
  readonly text: string
}

/** Steps in one call: with paths of 4 KiB, execve(2) still accepts them. */
const MAX_STEPS = 128
/** A mount may disappear between the search and the call. */
const ATTEMPTS = 2
/** Of each list: a reader needs no more. */
const MAX_TEXTS = 8
const NOTHING: Drained = { lost: [], uncovered: [] }
/** Of a volume without loop devices. */
export const NONE: FoundLoops = { present: false, drain: async () => NOTHING }

export function innerLoopsOf(place: Place): InnerLoops {
  return {
    async find(limitMs) {
      try {
        const found = await findDependents(place, limitMs)
        if (found.loops.length === 0) return NONE
        return { present: true, drain: ms => run(place, found, ms, 'sync') }
      } catch (error) {
        return { present: false, drain: async () => ({ lost: [], uncovered: [notFlushed(error)] }) }
      }
    },
  }
}

/** Before the volume is shut down: flushes inner devices and makes later writes to them fail. Never fails. */
export async function shutDownInner(place: Place, limitMs: number): Promise<Drained> {
  return await run(place, null, limitMs, 'shutdown')
}

/** A second attempt leaves out what was unmounted or detached during the first one. */
async function run(
  place: Place,
  known: Dependents | null,
  limitMs: number,
  mode: Mode,
): Promise<Drained> {
  const deadline = performance.now() + limitMs
  const first = await tryAll(place, known, limitMs / ATTEMPTS, mode)
  if (first.lost.length + first.uncovered.length === 0) return first
  const leftMs = Math.max(deadline - performance.now(), 0)
  const { lost, uncovered } = await tryAll(place, null, leftMs, mode)
  // The second attempt does not get the errors that the first one got.
  return { lost: [...new Set([...first.lost, ...lost])].slice(0, MAX_TEXTS), uncovered }
}

async function tryAll(
  place: Place,
  known: Dependents | null,
  limitMs: number,
  mode: Mode,
): Promise<Drained> {
  const deadline = performance.now() + limitMs
  try {
    const found = known ?? (await findDependents(place, limitMs))
    if (found.loops.length === 0) return NOTHING
    const all = found.loops.toReversed().flatMap(loop => stepsOf(loop, found, mode))
    const more = all.length > MAX_STEPS ? ['more devices on the workspace are not flushed'] : []
    const leftMs = Math.max(deadline - performance.now(), 0)
    const { lost, uncovered } = await drain(all.slice(0, MAX_STEPS), leftMs)
    return { lost, uncovered: [...more, ...uncovered].slice(0, MAX_TEXTS) }
  } catch (error) {
    return { lost: [], uncovered: [notFlushed(error)] }
  }
}

async function drain(steps: readonly Step[], limitMs: number): Promise<Drained> {
  const args = steps.flatMap(({ how, id, path }) => [how, id, path])
  try {
    return read(steps, await runHelper('drain', args, { limitMs }))
  } catch (error) {
    // The kernel does not report these failures again.
    const printed = error instanceof HelperError ? error.printed : null
    const { lost, uncovered } = printed === null ? NOTHING : read(steps, printed)
    return { lost, uncovered: [notFlushed(error), ...uncovered] }
  }
}

/** The helper prints a line for each step that failed: "INDEX CALL ERRNO". */
function read(steps: readonly Step[], printed: Buffer): Drained {
  const failed = printed
    .toString()
    .split('\n')
    .flatMap(line => {
      const [index = '', call = '', errno = ''] = line.split(' ')
      const step = index === '' ? undefined : steps[Number(index)]
      if (step === undefined || errno === '') return []
      const isLost = call === 'syncfs' || call === 'fsync' || (call === 'ioctl' && errno === 'EIO')
      return [{ isLost, text: `${step.text} is not flushed: ${call}: ${errno}` }]
    })
  const textsOf = (isLost: boolean) =>
    failed.flatMap(one => (one.isLost === isLost ? [one.text] : [])).slice(0, MAX_TEXTS)
  return { lost: textsOf(true), uncovered: textsOf(false) }
}

const notFlushed = (error: unknown) =>
  `file systems on the workspace are not flushed: ${messageOf(error)}`

function stepsOf(loop: LoopDevice, { mounts }: Dependents, mode: Mode): Step[] {
  const swaps = listSwaps()
  const text = loopText(loop)
  return loop.parts.toReversed().flatMap(({ number, path, isLeaf, readOnly }) => {
    if (readOnly) return []
    const mount = mounts.findLast(one => one.device === number)
    const used = mount !== undefined || !isLeaf || swaps.includes(path)
    const device: Step = { how: 'device', id: used ? 'shared' : 'leaf', path, text }
    return mount === undefined ? [device] : [stepOf(mount, mode), device]
  })
}

function stepOf(mount: Mount, how: Mode): Step {
  return { how, id: mount.id, path: mount.at, text: mountText(mount) }
}
