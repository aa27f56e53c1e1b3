/** The time that everything built here is stamped with, so that equal inputs give equal bytes. */

/** 2026-11-01T00:00:00Z: later than most files of the packages, whose own times then stay. */
const DEFAULT_EPOCH_S = 1_793_491_200

/**
 * Seconds since 1970: `SOURCE_DATE_EPOCH` of the environment
 * (https://reproducible-builds.org/specs/source-date-epoch/), or a constant.
 * @throws RangeError if the variable is not a whole number
 */
export function sourceDateEpoch(): number {
  const { SOURCE_DATE_EPOCH: wish } = process.env
  if (wish === undefined || wish === '') return DEFAULT_EPOCH_S
  if (!/^\d{1,12}$/.test(wish)) throw new RangeError(`SOURCE_DATE_EPOCH is not a number: ${wish}`)
  return Number(wish)
}
