/**
 * What a run costs in a real guest over vsock: against the C program in the same guest, and the
 * round trip that the answer has to make.
 */
import { open } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { createClient, type GuestdClient } from '../../../src/client/index.ts'
import { startVm } from '../../../vm/vm.ts'
import { type Bench, interleave, type Row } from '../bench.ts'
import { percentile, toLine } from '../line.ts'
import { BASH, runByGuestd } from '../programs.ts'
import { type Crew, type Program, parseCrew } from '../tools.ts'

/** Where the programs go in the guest. */
const FOLDER = '/tmp'
/** Any port above the reserved ones, for the echo. */
const ECHO_PORT = 5_000
const COPY_BYTES = 64 * 1024
const WARMUPS = 5
const LOOK_MS = 50

export const guest: Row = {
  name: 'guest',
  async measure(bench) {
    const vm = await startVm({ onPhase: bench.say })
    bench.defer(vm.stop)
    const client = createClient({ connect: vm.connect })
    bench.defer(async () => client.close())
    for (const program of ['spawn', 'vsock-echo'] as const) await copyIn(bench, client, program)
    const echo = await startEcho(client)
    const echoAddress = `firecracker:${vm.socketPath}:${ECHO_PORT}`
    const runs = bench.quick ? 20 : 60
    await runByGuestd(bench, vm.connect, { runs: 100, atOnce: 1 })
    const rounds = await interleave(bench.quick ? 3 : 11, {
      guestd: async () => p50(await runByGuestd(bench, vm.connect, { runs, atOnce: 1 })),
      baseline: async () => p50(await runInGuest(client, runs)),
    })
    const ping = parseCrew(await bench.tools.run('ping', [echoAddress, runs * 5, WARMUPS]))
    await client.kill(echo)
    const roundTripMs = p50(ping)
    const line = toLine(
      {
        name: 'guest: bash -c true over vsock, p50',
        unit: 'ms',
        baselineName: 'the same C program in the guest',
        budget: { of: 'ratio', atMost: 1.75 },
        ratio: round => (round.guestd - roundTripMs) / round.baseline,
        notes: [`the ratio is without one round trip over vsock, ${roundTripMs.toFixed(2)} ms`],
      },
      rounds,
    )
    return [line]
  },
}

function p50(crew: Crew): number {
  return percentile(crew.times, 50)
}

/** Through the stdin of a command, as any client. */
async function copyIn(bench: Bench, client: GuestdClient, program: Program): Promise<void> {
  const target = `${FOLDER}/${program}`
  const command = client.run({
    command: `cat > ${target} && chmod +x ${target}`,
    stdin: 'open',
  })
  const result = command.collect()
  await using file = await open(bench.tools.path(program))
  for await (const chunk of file.createReadStream({ highWaterMark: COPY_BYTES }))
    await command.stdin.write(chunk)
  await command.stdin.end()
  const { exitCode } = await result
  if (exitCode !== 0) throw new Error(`${program} could not be copied into the guest`)
}

async function startEcho(client: GuestdClient): Promise<string> {
  const { id } = await client.start({ argv: [`${FOLDER}/vsock-echo`, String(ECHO_PORT)] })
  while ((await client.inspect(id)).cursor === 0) await setTimeout(LOOK_MS)
  return id
}

async function runInGuest(client: GuestdClient, runs: number): Promise<Crew> {
  const argv = [`${FOLDER}/spawn`, String(runs), String(WARMUPS), '1', BASH, '-c', 'true']
  const { exitCode, stdout } = await client.run({ argv }).collect()
  if (exitCode !== 0) throw new Error('the C program failed in the guest')
  return parseCrew(new TextDecoder().decode(stdout))
}
