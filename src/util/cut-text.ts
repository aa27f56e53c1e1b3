/** Cuts text without splitting a character into half of a surrogate pair. */

/** The first characters: at most `max` UTF-16 code units, one less if the cut is inside a surrogate pair. */
export function firstOf(text: string, max: number): string {
  return text.slice(0, isInsidePair(text, max) ? max - 1 : max)
}

/** The last characters: at most `max` UTF-16 code units, one less if the cut is inside a surrogate pair. */
export function lastOf(text: string, max: number): string {
  const start = Math.max(0, text.length - max)
  return text.slice(isInsidePair(text, start) ? start + 1 : start)
}

function isInsidePair(text: string, at: number): boolean {
  return (
    isBetween(text.charCodeAt(at - 1), 0xd800, 0xdbff) &&
    isBetween(text.charCodeAt(at), 0xdc00, 0xdfff)
  )
}

/** False for the NaN of an index outside the text. */
function isBetween(unit: number, low: number, high: number): boolean {
  return unit >= low && unit <= high
}
