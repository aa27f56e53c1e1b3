/** How full the workspace is: asked of guestd, with many files and with none, and counted by du. */
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { type Bench, figures, interleave, type Row } from '../bench.ts'
import { percentile, type Round, toLine } from '../line.ts'
import { parseCrew } from '../tools.ts'
import { makeVolume, timed } from '../volume.ts'

const FILES = 100_000
const FILES_A_FOLDER = 500
const FILE_BYTES = 100
/** guestd's own look takes microseconds: so many make a figure. */
const LOOKS = 5_000
const WARMUPS = 20
const US_PER_MS = 1_000

interface Asked {
  /** p50 of `GET /v1/session`, in milliseconds. */
  readonly query: number
  /** One statfs(2), in microseconds. */
  readonly look: number
}

export const usage: Row = {
  name: 'usage',
  async measure(bench) {
    const files = bench.quick ? FILES / 50 : FILES
    const [full, empty] = [await makeVolume(bench, 'full'), await makeVolume(bench, 'empty')]
    await full.mount()
    fill(full.at, files)
    await full.unmount()
    const daemons = { full: await full.startDaemon(), empty: await empty.startDaemon() }
    const counted: Round[] = []
    const rounds = await interleave(bench.quick ? 3 : 9, {
      guestd: async () => ask(bench, daemons.full.address, full.at),
      baseline: async () => ask(bench, daemons.empty.address, empty.at),
    })
    // Once to have all of it in memory: du has it as easy as it can be.
    for (const { guestd } of [...rounds.slice(0, 1), ...rounds])
      counted.push({
        guestd: guestd.query,
        baseline: await timed(() => execa('du', ['-s', full.at])),
      })
    const name = `${files.toLocaleString('en')} files`
    return [
      toLine(
        {
          name: `usage: GET /v1/session, ${name}, p50`,
          unit: 'ms',
          baselineName: 'the same of an empty volume',
          budget: { of: 'ratio', atMost: 1, plus: 1 },
        },
        figures(rounds, ({ query }) => query),
      ),
      toLine(
        { name: `usage: the same, ${name}`, unit: 'ms', baselineName: 'du -s of them, in memory' },
        counted.slice(1),
      ),
      toLine(
        { name: `usage: a statfs, ${name}`, unit: 'µs', baselineName: 'of an empty volume' },
        figures(rounds, ({ look }) => look),
      ),
    ]
  },
}

function fill(at: string, files: number): void {
  const content = Buffer.alloc(FILE_BYTES, 'x')
  for (let n = 0; n < files; n++) {
    const folder = join(at, `folder-${Math.floor(n / FILES_A_FOLDER)}`)
    if (n % FILES_A_FOLDER === 0) mkdirSync(folder)
    writeFileSync(join(folder, `file-${n}`), content)
  }
}

async function ask(bench: Bench, address: string, at: string): Promise<Asked> {
  const words = [address, bench.quick ? 50 : 300, WARMUPS, 1, 'GET', '/v1/session']
  const { times } = parseCrew(await bench.tools.run('request', words))
  const from = performance.now()
  for (let n = 0; n < LOOKS; n++) statfsSync(at)
  const look = ((performance.now() - from) * US_PER_MS) / LOOKS
  return { query: percentile(times, 50), look }
}
