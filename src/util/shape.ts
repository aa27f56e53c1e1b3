/** Checks of what a file holds as JSON: whether it has the shape that guestd writes. Pure. */

export type Check = (value: unknown) => boolean

export const isText: Check = value => typeof value === 'string'
export const isFlag: Check = value => typeof value === 'boolean'
export const isNumber: Check = value => typeof value === 'number' && Number.isFinite(value)
/** A number from 0. */
export const isAmount: Check = value => isNumber(value) && Number(value) >= 0
/** A whole number from 0 that is exact. */
export const isCount: Check = value => Number.isSafeInteger(value) && Number(value) >= 0

export function oneOf(...values: readonly unknown[]): Check {
  return value => values.includes(value)
}

export function orNull(check: Check): Check {
  return value => value === null || check(value)
}

export function orMissing(check: Check): Check {
  return value => value === undefined || check(value)
}

/** An array with such elements. */
export function listOf(check: Check): Check {
  return value => Array.isArray(value) && value.every(check)
}

/** An object with any names and such values. */
export function recordOf(check: Check): Check {
  return value => isObject(value) && Object.values(value).every(check)
}

/** An object with these members; others may be beside them. */
export function shape(fields: Readonly<Record<string, Check>>): Check {
  return value => {
    if (!isObject(value)) return false
    // A map: a member of every object, such as `constructor`, is none of this one.
    const members = new Map<string, unknown>(Object.entries(value))
    return Object.entries(fields).every(([name, check]) => check(members.get(name)))
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
