/** What a row is given to measure with. */
import type { Daemon, DaemonOptions } from './daemon.ts'
import type { Line, Round } from './line.ts'
import type { Tools } from './tools.ts'

export interface Row {
  /** What `--only` takes. */
  readonly name: string
  measure(bench: Bench): Promise<readonly Line[]>
}

export interface Bench {
  /** Fewer and smaller runs: to see that the rows work, not to judge by. */
  readonly quick: boolean
  readonly tools: Tools
  /** A folder for the row's files; it goes at the end. */
  readonly scratch: string
  /** A guestd of its own for the row; it ends with the row at the latest. */
  startDaemon(options?: DaemonOptions): Promise<Daemon>
  /** Undone when the row is over, in reverse order. */
  defer(undo: () => Promise<unknown>): void
  /** Printed as progress. */
  say(text: string): void
}

/**
 * Measures both sides right after each other, again and again, so that what else the machine does
 * meets both. Which goes first alternates. The first round warms up and is not counted.
 */
export async function interleave<T>(
  rounds: number,
  sides: { readonly guestd: () => Promise<T>; readonly baseline: () => Promise<T> },
): Promise<readonly { readonly guestd: T; readonly baseline: T }[]> {
  const measured: { readonly guestd: T; readonly baseline: T }[] = []
  for (let round = 0; round <= rounds; round++) {
    const guestdFirst = round % 2 === 0
    const early = guestdFirst ? await sides.guestd() : undefined
    const baseline = await sides.baseline()
    const guestd = early ?? (await sides.guestd())
    if (round > 0) measured.push({ guestd, baseline })
  }
  return measured
}

/** One figure of each round. */
export function figures<T>(
  rounds: readonly { readonly guestd: T; readonly baseline: T }[],
  pick: (side: T) => number,
): readonly Round[] {
  return rounds.map(({ guestd, baseline }) => ({
    guestd: pick(guestd),
    baseline: pick(baseline),
  }))
}
