/** What a call throws, for looking at. */
export function thrownBy(call: () => unknown): unknown {
  try {
    call()
  } catch (thrown) {
    return thrown
  }
  return undefined
}
