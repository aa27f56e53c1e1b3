/** What the flush in the background costs a command that writes all the time. */
import type { Bench, Row } from '../bench.ts'
import { figures, interleave } from '../bench.ts'
import { type Line, toLine, type Unit } from '../line.ts'
import { makeVolume, runScript, settle, type Volume } from '../volume.ts'

/** As guestd's own default is. */
const FLUSH_EVERY_MS = 5_000
/** Some flushes are in it. */
const SECONDS = 16
const QUICK_SECONDS = 2
/** Written over again and again: the volume never fills up. */
const FILE_MIB = 256
const US_PER_S = 1_000_000

interface Kind {
  readonly name: string
  readonly unit: Unit
  /** Prints how much it has done a second. */
  readonly command: (seconds: number) => string
}

const kinds: readonly Kind[] = [
  {
    name: `writers: a file of ${FILE_MIB} MiB, over and over`,
    unit: 'MiB/s',
    command: seconds =>
      counting(
        seconds,
        `dd if=/dev/zero of=file bs=1M count=${FILE_MIB} conv=notrunc status=none`,
        FILE_MIB,
      ),
  },
  {
    name: 'writers: small files, made and removed',
    unit: '/s',
    command: seconds =>
      counting(seconds, 'for n in {1..200}; do echo "$n" >"small-$n"; done; rm small-*', 200),
  },
]

export const writers: Row = {
  name: 'writers',
  async measure(bench) {
    const volume = await makeVolume(bench, 'volume')
    const lines: Line[] = []
    for (const kind of kinds) {
      const write = (flushEveryMs: number) => () => rate(bench, volume, kind, flushEveryMs)
      const rounds = await interleave(bench.quick ? 1 : 3, {
        guestd: write(FLUSH_EVERY_MS),
        baseline: write(0),
      })
      const baselineName = 'without the flush in the background'
      const { name, unit } = kind
      lines.push(
        toLine(
          { name, unit, baselineName },
          figures(rounds, figure => figure),
        ),
      )
    }
    return lines
  },
}

/** A script that does a piece of work for so long, and prints how much of it is done a second. */
function counting(seconds: number, work: string, worth: number): string {
  return `now() { echo "\${EPOCHREALTIME/./}"; }
    from=$(now); done=0
    while (($(now) - from < ${seconds * US_PER_S})); do ${work}; ((done += ${worth})); done
    echo "$((done * ${US_PER_S} / ($(now) - from)))"`
}

async function rate(
  bench: Bench,
  volume: Volume,
  kind: Kind,
  flushEveryMs: number,
): Promise<number> {
  const daemon = await volume.startDaemon({ flushEveryMs })
  const seconds = bench.quick ? QUICK_SECONDS : SECONDS
  const printed = await runScript(daemon, kind.command(seconds))
  await daemon.stop()
  await settle()
  return Number(printed)
}
