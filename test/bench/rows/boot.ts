/** How long a machine takes to come up with guestd in it, and what guestd weighs there. */
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '../../../src/client/index.ts'
import { describePhases, measureBoot } from '../../../vm/boot-phases.ts'
import { startVm, type VmOptions } from '../../../vm/vm.ts'
import { type Bench, figures, interleave, type Row } from '../bench.ts'
import { type Round, toLine } from '../line.ts'

/** Both kinds of machine write to the console when they are up; `uptime` counts from the kernel's start. */
const PROBE = {
  '/etc/systemd/system/bench-up.service': [
    '[Unit]',
    'DefaultDependencies=no',
    'After=multi-user.target',
    '[Service]',
    'Type=oneshot',
    `ExecStart=/bin/sh -c 'read up idle </proc/uptime; echo "bench: up $up" >/dev/console'`,
  ].join('\n'),
  '/etc/systemd/system/multi-user.target.d/bench.conf': '[Unit]\nWants=bench-up.service\n',
}
/** An empty unit file masks the unit: systemd.unit(5). */
const WITHOUT_GUESTD = {
  '/etc/systemd/system/guestd.service': '',
  '/etc/systemd/system/guestd.socket': '',
}
const UP = /bench: up ([\d.]+)/
/** A boot takes some 14 s under translation. */
const UP_LIMIT_MS = 300_000
const LOOK_MS = 20
const PRIVATE = /^Private_Dirty: +(\d+) kB$/m

interface Boot {
  /** From the kernel's start until multi-user.target is reached, by the guest's clock. */
  readonly upMs: number
  /** From power-on, by the host's clock, to what a user waits for. */
  readonly usableMs: number
}

export const boot: Row = {
  name: 'boot',
  async measure(bench) {
    const weights: Round[] = []
    const phases: string[] = []
    const rounds = await interleave(bench.quick ? 1 : 5, {
      guestd: () => bootWith(bench, weights, phases),
      baseline: () => bootWithout(bench),
    })
    const notes = [`the last boot: ${phases.at(-1)}`]
    return [
      toLine(
        { name: 'boot: kernel to multi-user', unit: 'ms', baselineName: 'without guestd', notes },
        figures(rounds, side => side.upMs),
      ),
      toLine(
        {
          name: 'boot: power-on to the first command’s output',
          unit: 'ms',
          baselineName: 'without guestd, to multi-user',
        },
        figures(rounds, side => side.usableMs),
      ),
      toLine(
        {
          name: 'guest: private memory of guestd',
          unit: 'MiB',
          baselineName: 'a bare node process there',
          budget: { of: 'figure', atMost: 30 },
        },
        weights,
      ),
    ]
  },
}

async function bootWith(bench: Bench, weights: Round[], phases: string[]): Promise<Boot> {
  const began = performance.now()
  const vm = await startVm({ overlay: PROBE })
  const client = createClient({ connect: vm.connect })
  try {
    await client.run({ command: 'echo first' }).collect()
    const usableMs = performance.now() - began
    const upMs = await untilUp(vm.console)
    phases.push(describePhases(await measureBoot(vm.connect)))
    bench.say(`with guestd: ${phases.at(-1)}`)
    const { stdout } = await client.run({ command: WEIGH, user: 'root' }).collect()
    const [guestd = NaN, baseline = NaN] = stdout.toString().trim().split('\n').map(mib)
    weights.push({ guestd, baseline })
    return { upMs, usableMs }
  } finally {
    client.close()
    await vm.stop()
  }
}

/** guestd's facts of proc(5)'s smaps_rollup, and those of a node that does nothing. */
const WEIGH = `
  /usr/lib/guestd/node -e 'setInterval(() => {}, 1e6)' & bare=$!
  sleep 5
  grep ^Private_Dirty "/proc/$(systemctl show -P MainPID guestd)/smaps_rollup"
  grep ^Private_Dirty "/proc/$bare/smaps_rollup"
  kill $bare`

const mib = (line: string): number => Number(PRIVATE.exec(line)?.[1]) / 1024

async function bootWithout(bench: Bench): Promise<Boot> {
  const options: VmOptions = { overlay: { ...PROBE, ...WITHOUT_GUESTD }, waitForGuestd: false }
  const began = performance.now()
  const vm = await startVm(options)
  try {
    const upMs = await untilUp(vm.console)
    bench.say(`without guestd: up ${upMs} ms after the kernel's start`)
    return { upMs, usableMs: performance.now() - began }
  } finally {
    await vm.stop()
  }
}

async function untilUp(console: () => Promise<string>): Promise<number> {
  for (let waited = 0; waited < UP_LIMIT_MS; waited += LOOK_MS) {
    const up = UP.exec(await console())?.[1]
    if (up !== undefined) return Number(up) * 1_000
    await sleep(LOOK_MS)
  }
  throw new Error('the machine did not come up')
}
