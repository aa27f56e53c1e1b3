/** DELETE of a command with a tree of processes, answered once its cgroup is empty. */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { createClient, type GuestdClient } from '../../../src/client/index.ts'
import { type Bench, figures, interleave, type Row } from '../bench.ts'
import { toLine } from '../line.ts'
import { BASH } from '../programs.ts'
import { parseCrew } from '../tools.ts'

const PROCESSES = 300
/** bash and the sleepers that it starts: all of PROCESSES. */
const TREE = `for ((i = 1; i < ${PROCESSES}; i++)); do sleep 1000 & done; wait`
const LOOK_MS = 10
/** As cgkill waits: the last of them may still be on their way to exec. */
const SETTLE_MS = 300

export const kill: Row = {
  name: 'kill',
  async measure(bench) {
    const { address } = await bench.startDaemon()
    const client = createClient({ connect: address })
    bench.defer(async () => client.close())
    const { cgroup } = await client.session()
    const { path } = cgroup
    if (path === null) throw new Error('guestd found no cgroup v2 that it may write here')
    const rounds = await interleave(bench.quick ? 2 : 9, {
      guestd: () => killByGuestd(bench, address, client),
      baseline: () => killByC(bench, path),
    })
    const line = toLine(
      {
        name: `kill: ${PROCESSES} processes, to empty`,
        unit: 'ms',
        baselineName: 'C: write to cgroup.kill, poll until populated 0',
      },
      figures(rounds, ms => ms),
    )
    return [line]
  },
}

async function killByGuestd(bench: Bench, address: string, client: GuestdClient): Promise<number> {
  const { id } = await client.start({ command: TREE })
  while ((await client.inspect(id)).usage?.pids !== PROCESSES) await setTimeout(LOOK_MS)
  await setTimeout(SETTLE_MS)
  const words = [address, 1, 0, 1, 'DELETE', `/v1/commands/${id}`]
  return parseCrew(await bench.tools.run('request', words)).times[0] ?? Number.NaN
}

/** Beside guestd's own folder of commands, in the same hierarchy. */
async function killByC(bench: Bench, commandsPath: string): Promise<number> {
  const cgroup = join(commandsPath, '..', `bench-${randomUUID()}`)
  const printed = await bench.tools.run('cgkill', [cgroup, PROCESSES, BASH, '-c', TREE])
  return Number(/^ns (\d+)$/m.exec(printed)?.[1]) / 1e6
}
