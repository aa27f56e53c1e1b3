/** Compares some fields exactly: in a pattern of `t.match`, null and an empty list match anything. */
import type { Test } from 'tap'

/** Fields of `found` that `wanted` does not name may have any value. */
export function sameFields(
  t: Pick<Test, 'same'>,
  found: unknown,
  wanted: Readonly<Record<string, unknown>>,
  message = 'the fields',
): void {
  const all = new Map<string, unknown>(Object.entries(Object(found)))
  const named = Object.keys(wanted).map(name => [name, all.get(name)])
  t.same(Object.fromEntries(named), wanted, message)
}
