/** The stop of the session. There is one, for all callers. */
import { doStep, type Step } from '../events/steps.ts'
import type { Receipt, StopFrame, StopReason } from '../protocol/schemas.ts'
import { createChangeNotifier } from '../util/change-notifier.ts'
import type { Workspace } from '../workspace/workspace.ts'
import type { EndedStop } from './remembered-stop.ts'

export interface Stop {
  readonly state: 'ready' | 'stopping' | 'stopped'
  /** Why it began; `null` before it begins. */
  readonly reason: StopReason | null
  /** How it left the workspace; `null` before it is over. */
  readonly receipt: Receipt | null
  /**
   * Adds a part that ends before the workspace does. The parts end at the same time.
   *
   * @param end resolves once nothing of the part is left, or its time limit has passed
   */
  addStep(name: Step['name'], end: () => Promise<void>): void
  /** Starts the stop, or joins it if it has begun, whatever its reason is. Never rejects. */
  run(reason: StopReason): Promise<Receipt>
  /** Its steps from the first one on, and the receipt. */
  follow(): AsyncGenerator<StopFrame>
  /** Resolves once every follower has the receipt. */
  followed(): Promise<void>
}

export interface StopOptions {
  readonly workspace: Pick<Workspace, 'end'>
  readonly started: (reason: StopReason) => void
  readonly stepped: (step: Step) => void
  /** Called before any follower has the receipt. */
  readonly ended: (receipt: Receipt, reason: StopReason) => void
  /** A stop before this start of guestd that still counts: this is that stop. */
  readonly before: EndedStop | null
}

export function createStop(options: StopOptions): Stop {
  const { workspace, started, stepped, ended, before } = options
  const parts: { readonly name: Step['name']; readonly end: () => Promise<void> }[] = []
  let state: Stop['state'] = before === null ? 'ready' : 'stopped'
  let why: StopReason | null = before?.reason ?? null
  let receipt: Receipt | null = before?.receipt ?? null
  let stopping: Promise<Receipt> | null = receipt === null ? null : Promise.resolve(receipt)
  const frames = createFrameLog(receipt)

  const report = (step: Step) => {
    stepped(step)
    frames.add({ type: 'step', ...step })
  }

  const stop = async (reason: StopReason) => {
    state = 'stopping'
    why = reason
    started(reason)
    // A process that outlives its step is in the receipt, as a holder of the workspace.
    await Promise.all(parts.map(({ name, end }) => doStep(name, report, [], end)))
    receipt = { ...(await workspace.end(report, reason)), reason }
    state = 'stopped'
    ended(receipt, reason)
    frames.add({ type: 'receipt', ...receipt })
    return receipt
  }

  return {
    get state() {
      return state
    },
    get reason() {
      return why
    },
    get receipt() {
      return receipt
    },
    addStep: (name, end) => void parts.push({ name, end }),
    run(reason) {
      stopping ??= stop(reason)
      return stopping
    },
    follow: frames.follow,
    followed: frames.followed,
  }
}

/** The frames of the stop: each follower gets all of them. A step adds one a second, so there are some thousands at most. */
function createFrameLog(receipt: Receipt | null) {
  const frames: StopFrame[] = receipt === null ? [] : [{ type: 'receipt', ...receipt }]
  const added = createChangeNotifier()
  const followers = new Set<Promise<void>>()

  return {
    add(frame: StopFrame) {
      frames.push(frame)
      added.notify()
    },
    async *follow(): AsyncGenerator<StopFrame> {
      const done = Promise.withResolvers<void>()
      followers.add(done.promise)
      try {
        for (let next = 0; ; ) {
          const frame = frames[next]
          if (frame === undefined) {
            await added.next()
            continue
          }
          next += 1
          yield frame
          if (frame.type === 'receipt') return
        }
      } finally {
        followers.delete(done.promise)
        done.resolve()
      }
    },
    async followed() {
      await Promise.all(followers)
    },
  }
}
