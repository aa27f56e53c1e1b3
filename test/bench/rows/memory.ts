/** Private memory of an idle daemon, when it has just started and when it has run 1,000 commands. */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import type { Row } from '../bench.ts'
import { type Round, toLine } from '../line.ts'
import { runByGuestd } from '../programs.ts'

const COMMANDS = 1_000
/** Node has done what a start leaves to be done. */
const STARTED_MS = 5_000
/** guestd gives memory back when it has been idle for 30 s. */
const SETTLE_MS = 40_000

export const memory: Row = {
  name: 'memory',
  async measure(bench) {
    const started: Round[] = []
    const settled: Round[] = []
    for (let round = 0; round < (bench.quick ? 1 : 3); round++) {
      const baseline = await bareNode()
      const daemon = await bench.startDaemon()
      await setTimeout(STARTED_MS)
      started.push({ guestd: await privateMib(daemon.pid), baseline })
      await runByGuestd(bench, daemon.address, { runs: COMMANDS, atOnce: 4 })
      await setTimeout(SETTLE_MS)
      settled.push({ guestd: await privateMib(daemon.pid), baseline })
      await daemon.stop()
    }
    return [line('idle after its start', started), line(`idle after ${COMMANDS} commands`, settled)]
  },
}

function line(when: string, rounds: readonly Round[]) {
  return toLine(
    {
      name: `memory: private, ${when}`,
      unit: 'MiB',
      baselineName: 'a bare node process',
      budget: { of: 'figure', atMost: 30 },
    },
    rounds,
  )
}

async function bareNode(): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' })
  try {
    await setTimeout(STARTED_MS)
    return await privateMib(child.pid ?? -1)
  } finally {
    child.kill('SIGKILL')
  }
}

/** Private_Dirty of /proc/PID/smaps_rollup (proc(5)): pages that no other process shares and no file backs. */
export async function privateMib(pid: number): Promise<number> {
  const facts = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  return Number(/^Private_Dirty: +(\d+) kB$/m.exec(facts)?.[1]) / 1024
}
