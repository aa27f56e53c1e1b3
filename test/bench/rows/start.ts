/** From the spawn of guestd to its word that it serves. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { figures, interleave, type Row } from '../bench.ts'
import { timeToReady } from '../daemon.ts'
import { toLine } from '../line.ts'

export const start: Row = {
  name: 'start',
  async measure(bench) {
    const rounds = await interleave(bench.quick ? 3 : 15, {
      guestd: timeToReady,
      baseline: timeOfBareNode,
    })
    const line = toLine(
      {
        name: 'start: spawn to ready',
        unit: 'ms',
        baselineName: 'node -e 0, spawn to exit',
        budget: { of: 'figure', atMost: 250 },
      },
      figures(rounds, ms => ms),
    )
    return [line]
  },
}

async function timeOfBareNode(): Promise<number> {
  const from = performance.now()
  const [code] = await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit')
  if (code !== 0) throw new Error(`node -e 0 ended with ${code}`)
  return performance.now() - from
}
