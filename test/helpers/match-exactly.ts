/**
 * `t.match` for lists and null. In a pattern of `t.match` a list matches a longer one, an empty list
 * matches any list, and null matches a field that is missing.
 */

/** The part of tap's `t` that is used. */
export interface StrictSame {
  strictSame(found: unknown, wanted: unknown, message: string): boolean
}

/**
 * Compares the fields that `wanted` names; a field that it does not name may have any value.
 *
 * - A list has exactly the elements of the wanted list, in their order.
 * - A regular expression matches a string.
 * - `String`, `Number` and `Boolean` match a value of that type.
 * - Any other value, null included, is the same value.
 */
export function matchExactly(
  t: StrictSame,
  found: unknown,
  wanted: object,
  message = 'the named fields match',
): void {
  t.strictSame(comparable(found, wanted), wanted, message)
}

/** What was found without the fields that are not wanted, and with the pattern in place of what matches it. */
function comparable(found: unknown, wanted: unknown): unknown {
  if (wanted instanceof RegExp) {
    return typeof found === 'string' && wanted.test(found) ? wanted : found
  }
  if (typeof wanted === 'function') {
    return typeof found === wanted.name.toLowerCase() ? wanted : found
  }
  if (Array.isArray(wanted)) {
    if (!Array.isArray(found)) return found
    return found.map((element, index) =>
      index < wanted.length ? comparable(element, wanted[index]) : element,
    )
  }
  if (!isFields(wanted) || !isFields(found) || Array.isArray(found)) return found
  const named = Object.entries(wanted).flatMap(([name, pattern]) =>
    name in found ? [[name, comparable(Reflect.get(found, name), pattern)]] : [],
  )
  return Object.fromEntries(named)
}

/** An object whose fields are compared one by one; bytes are compared as one value. */
function isFields(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)
}
