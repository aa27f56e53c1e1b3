/** Whether JSON is a mark: one that somebody else wrote shall not be taken for ours. Pure. */
import type { Receipt } from '../schemas.ts'
import type { Mark, PendingFormat } from './mark.ts'

/** Members that are not known yet are left in their place. */
export function isMark(value: unknown): value is Mark {
  return hasShape(value, {
    sequence: isCount,
    sessionId: orNull(isString),
    runtimeVersion: orNull(isString),
    generation: isCount,
    state: one => one === 'inUse' || one === 'clean',
    at: isTime,
    lastActivityAt: orMissing(isTime),
    receipt: orNull(isReceipt),
    began: orMissing(isBegan),
    pending: orMissing(isPending),
  })
}

type Check = (value: unknown) => boolean

function isReceipt(value: unknown): value is Receipt {
  return hasShape(value, {
    at: isString,
    generation: orNull(isCount),
    device: orNull(isString),
    how: isString,
    dirtyBytes: isCount,
    flushMs: isCount,
    ms: isCount,
    errorsSince: isString,
    errors: one => Array.isArray(one) && one.every(isString),
    heldBy: orNull(isString),
    clean: isBoolean,
  })
}

function isBegan(value: unknown): boolean {
  return hasShape(value, { expired: isBoolean, reset: orNull(isReset) })
}

function isReset(value: unknown): boolean {
  return value === 'expired' || value === 'versionChanged'
}

function isPending(value: unknown): value is PendingFormat {
  return hasShape(value, {
    why: one => one === 'blank' || isReset(one),
    blocks: isCount,
    blockBytes: isCount,
    inodes: isCount,
    reservedBlocks: isCount,
    label: isString,
    mmp: isBoolean,
  })
}

function hasShape(value: unknown, shape: Readonly<Record<string, Check>>): boolean {
  if (typeof value !== 'object' || value === null) return false
  const members = new Map<string, unknown>(Object.entries(value))
  return Object.entries(shape).every(([name, check]) => check(members.get(name)))
}

function orNull(check: Check): Check {
  return value => value === null || check(value)
}

function orMissing(check: Check): Check {
  return value => value === undefined || check(value)
}

function isString(value: unknown): boolean {
  return typeof value === 'string'
}

function isBoolean(value: unknown): boolean {
  return typeof value === 'boolean'
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value))
}
