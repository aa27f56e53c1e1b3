/** Many readers of one command, one of which stalls: what the others lose by it. */
import { randomUUID } from 'node:crypto'
import { type Bench, figures, interleave, type Row } from '../bench.ts'
import { toLine } from '../line.ts'

const READERS = 64
const MIB = 1024 * 1024
const ACCEPT = 'application/vnd.amazon.eventstream'

export const readers: Row = {
  name: 'readers',
  async measure(bench) {
    const bytes = (bench.quick ? 8 : 32) * MIB
    const { address } = await bench.startDaemon()
    let gaps = 0
    const once = async (stalled: number) => {
      const read = await readTogether(bench, address, bytes, stalled)
      gaps += read.filter(reader => reader.bytes < bytes).length
      // The same readers on both sides; without a stalled one there is one more.
      return throughput(read.slice(0, READERS - 1))
    }
    const rounds = await interleave(bench.quick ? 2 : 9, {
      guestd: () => once(1),
      baseline: () => once(0),
    })
    const line = toLine(
      {
        name: `readers: ${READERS - 1} beside a stalled one`,
        unit: 'MiB/s',
        baselineName: 'the same readers, none stalled',
        budget: { of: 'ratio', atLeast: 0.95 },
        notes: gaps > 0 ? [`${gaps} readers fell behind and had a gap`] : [],
      },
      figures(rounds, figure => figure),
    )
    return [line]
  },
}

interface Reader {
  readonly bytes: number
  readonly ns: number
}

async function readTogether(bench: Bench, address: string, bytes: number, stalled: number) {
  const id = randomUUID()
  const body = { id, stdin: 'open', command: `read -r _; exec head -c ${bytes} /dev/zero` }
  const words = [address, id, stalled, READERS - stalled, ACCEPT, 'go']
  const printed = await bench.tools.run('readers', words, JSON.stringify(body))
  return [...printed.matchAll(/bytes (\d+) ns (\d+)/g)].map(
    ([, read, ns]): Reader => ({ bytes: Number(read), ns: Number(ns) }),
  )
}

/** All that they read, until the last of them has it. */
function throughput(read: readonly Reader[]): number {
  const bytes = read.reduce((sum, reader) => sum + reader.bytes, 0)
  return bytes / MIB / (Math.max(...read.map(reader => reader.ns)) / 1e9)
}
