/** Whether JSON is a mark: what another program wrote shall not be taken for ours. Pure. */
import {
  type Check,
  isCount,
  isFlag,
  isText,
  listOf,
  oneOf,
  orMissing,
  orNull,
  shape,
} from '../util/shape.ts'
import type { Mark } from './mark.ts'

const isTime: Check = value => typeof value === 'string' && !Number.isNaN(Date.parse(value))

const resets = ['expired', 'versionChanged'] as const

const isReceipt = shape({
  at: isText,
  generation: orNull(isCount),
  device: orNull(isText),
  outcome: isText,
  dirtyBytes: isCount,
  flushMs: isCount,
  ms: isCount,
  errorsSince: isText,
  errors: listOf(isText),
  heldBy: orNull(isText),
  clean: isFlag,
})

const isPending = shape({
  why: oneOf('blank', ...resets),
  blocks: isCount,
  blockBytes: isCount,
  inodes: isCount,
  reservedBlocks: isCount,
  label: isText,
  mmp: isFlag,
})

const hasShape = shape({
  sequence: isCount,
  sessionId: orNull(isText),
  runtimeVersion: orNull(isText),
  generation: isCount,
  state: oneOf('inUse', 'clean'),
  at: isTime,
  lastActivityAt: orMissing(isTime),
  lastActivityBy: orMissing(oneOf('host')),
  receipt: orNull(isReceipt),
  began: orMissing(shape({ expired: isFlag, reset: orNull(oneOf(...resets)) })),
  pending: orMissing(isPending),
})

/** Members that are not known yet are left in their place. */
export function isMark(value: unknown): value is Mark {
  return hasShape(value)
}
