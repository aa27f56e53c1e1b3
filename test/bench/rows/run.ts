/** What a run costs: `bash -c true`, from the request to `end`, over a Unix socket. */
import { figures, interleave, type Row } from '../bench.ts'
import { percentile, toLine } from '../line.ts'
import { runByC, runByGuestd } from '../programs.ts'

const NAME = 'run'

export const run: Row = {
  name: NAME,
  async measure(bench) {
    const load = { runs: bench.quick ? 50 : 200, atOnce: 1 }
    const { address } = await bench.startDaemon()
    // Node compiles what is hot: a daemon's first runs are not its usual ones.
    await runByGuestd(bench, address, { runs: 300, atOnce: 1 })
    const rounds = await interleave(bench.quick ? 5 : 15, {
      guestd: () => runByGuestd(bench, address, load),
      baseline: () => runByC(bench, load),
    })
    const baselineName = 'C: posix_spawn + waitpid of the same bash'
    return ([50, 99] as const).map(percent =>
      toLine(
        {
          name: `${NAME}: bash -c true, p${percent}`,
          unit: 'ms',
          baselineName,
          budget: { of: 'ratio', atMost: percent === 50 ? 1.75 : 3.5 },
        },
        figures(rounds, crew => percentile(crew.times, percent)),
      ),
    )
  },
}
