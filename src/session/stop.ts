/** The one stop of guestd, however often it is asked for and by whom. */

import { doStep, type Step } from '../events/steps.ts'
import type { Receipt, StopFrame, StopReason } from '../protocol/schemas.ts'
import { createChangeNotifier } from '../util/change-notifier.ts'
import type { Workspace } from '../workspace/workspace.ts'
import type { EndedStop } from './remembered-stop.ts'

export interface Stop {
  readonly state: 'ready' | 'stopping' | 'stopped'
  /** Why it was begun; `null` before it is. */
  readonly reason: StopReason | null
  /** How the workspace was left; `null` before it is. */
  readonly receipt: Receipt | null
  /** Starts it, or joins one that has another reason. Never fails. */
  run(reason: StopReason): Promise<Receipt>
  /** All of its steps, those that are done already too, and the receipt. */
  follow(): AsyncGenerator<StopFrame>
  /** Resolves once every follower has all of it. */
  followed(): Promise<void>
}

export interface StopOptions {
  /** Ends the commands: resolves once they are gone, or their limit has passed. */
  readonly endCommands: () => Promise<void>
  readonly workspace: Workspace
  readonly started: (reason: StopReason) => void
  readonly stepped: (step: Step) => void
  /** Called before anybody has the receipt. */
  readonly ended: (receipt: Receipt, reason: StopReason) => void
  /** A stop before guestd was started that still counts: it is that one. */
  readonly before: EndedStop | null
}

export function createStop(options: StopOptions): Stop {
  const { endCommands, workspace, started, stepped, ended, before } = options
  /** Each step tells of itself once a second, as long as its limit is: some thousands at most. */
  const frames: StopFrame[] = before === null ? [] : [{ type: 'receipt', ...before.receipt }]
  let state: Stop['state'] = before === null ? 'ready' : 'stopped'
  let why: StopReason | null = before?.reason ?? null
  let receipt: Receipt | null = before?.receipt ?? null
  let stopping: Promise<Receipt> | null = receipt === null ? null : Promise.resolve(receipt)
  const added = createChangeNotifier()
  const followers = new Set<Promise<void>>()

  const add = (frame: StopFrame) => {
    frames.push(frame)
    added.notify()
  }
  const report = (step: Step) => {
    stepped(step)
    add({ type: 'step', ...step })
  }

  const stop = async (reason: StopReason) => {
    state = 'stopping'
    why = reason
    started(reason)
    // What a command cannot be made to do stands in the receipt as who holds the workspace.
    await doStep('commands', report, [], endCommands)
    receipt = { ...(await workspace.end(report, reason)), reason }
    state = 'stopped'
    ended(receipt, reason)
    add({ type: 'receipt', ...receipt })
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
    run(reason) {
      stopping ??= stop(reason)
      return stopping
    },
    async *follow() {
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
