/** Sixteen clients that run `bash -c true` again and again: commands a second. */
import { figures, interleave, type Row } from '../bench.ts'
import { toLine } from '../line.ts'
import { runByC, runByGuestd } from '../programs.ts'

const CLIENTS = 16

export const clients: Row = {
  name: 'clients',
  async measure(bench) {
    const load = { runs: bench.quick ? 160 : 640, atOnce: CLIENTS }
    const { address } = await bench.startDaemon()
    const rounds = await interleave(bench.quick ? 3 : 11, {
      guestd: () => runByGuestd(bench, address, load),
      baseline: () => runByC(bench, load),
    })
    const line = toLine(
      {
        name: `clients: ${CLIENTS} at once`,
        unit: '/s',
        baselineName: `C: ${CLIENTS} threads of posix_spawn + waitpid`,
        budget: { of: 'ratio', atLeast: 0.6 },
      },
      figures(rounds, crew => crew.perSecond),
    )
    return [line]
  },
}
