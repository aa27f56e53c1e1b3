/** The result of a benchmark row, and its text. */

export type Unit = 'ms' | 'µs' | 'MiB' | 'MiB/s' | '/s'

export interface Budget {
  /** Of what: the ratio, or guestd's figure in its own unit. */
  readonly of: 'ratio' | 'figure'
  readonly atMost?: number
  /** So much more, in guestd's own unit: `atMost` times the baseline's figure, and this. */
  readonly plus?: number
  readonly atLeast?: number
}

/** One line of the table. */
export interface Line {
  readonly name: string
  readonly unit: Unit
  /** Medians of the rounds. */
  readonly guestd: number
  readonly baseline: number
  readonly baselineName: string
  /** Median of the rounds' own ratios, guestd's figure to the baseline's. */
  readonly ratio: number
  /** First and third quartile of the rounds' ratios: how noisy they are. */
  readonly spread: readonly [number, number]
  readonly budget: Budget | null
  /** `null` without a budget. */
  readonly met: boolean | null
  readonly rounds: readonly Round[]
  /** What a reader of the figures has to know. */
  readonly notes: readonly string[]
}

/** One figure of each side, measured one right after the other. */
export interface Round {
  readonly guestd: number
  readonly baseline: number
}

export interface LineOptions {
  readonly name: string
  readonly unit: Unit
  readonly baselineName: string
  readonly budget?: Budget
  readonly notes?: readonly string[]
  /** The default divides guestd's figure by the baseline's. */
  readonly ratio?: (round: Round) => number
}

export function toLine(options: LineOptions, rounds: readonly Round[]): Line {
  const { name, unit, baselineName, budget = null, notes = [] } = options
  const ratios = rounds.map(options.ratio ?? (round => round.guestd / round.baseline))
  const guestd = median(rounds.map(round => round.guestd))
  const baseline = median(rounds.map(round => round.baseline))
  const ratio = median(ratios)
  return {
    name,
    unit,
    guestd,
    baseline,
    baselineName,
    ratio,
    spread: [percentile(ratios, 25), percentile(ratios, 75)],
    budget,
    met: budget && meets(budget, { guestd, baseline, ratio }),
    rounds,
    notes,
  }
}

export function median(values: readonly number[]): number {
  return percentile(values, 50)
}

/** By the nearest rank; of an even number the mean of the two in the middle for the median. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (index: number) => sorted[Math.min(sorted.length - 1, Math.max(0, index))] ?? NaN
  if (percent === 50) return (at((sorted.length - 1) >> 1) + at(sorted.length >> 1)) / 2
  return at(Math.ceil((percent / 100) * sorted.length) - 1)
}

function meets(
  { of, atMost, atLeast, plus }: Budget,
  { guestd, baseline, ratio }: Pick<Line, 'guestd' | 'baseline' | 'ratio'>,
): boolean {
  if (plus !== undefined) return guestd <= (atMost ?? 0) * baseline + plus
  const value = of === 'ratio' ? ratio : guestd
  return value <= (atMost ?? Number.POSITIVE_INFINITY) && value >= (atLeast ?? 0)
}
