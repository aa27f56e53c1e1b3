/** Making a workspace durable, by a flush and by the stop, against `sync -f` of the same data. */
import { execa } from 'execa'
import { readDirtyBytes } from '../../../src/workspace/dirty-bytes.ts'
import { type Bench, figures, interleave, type Row } from '../bench.ts'
import { type Line, toLine } from '../line.ts'
import { BASH } from '../programs.ts'
import { makeVolume, runScript, settle, timed, timeRequest, type Volume } from '../volume.ts'

const MB = 1_000_000
const SIZES = [1, 100, 900]
const QUICK_SIZES = [1, 20]
/** Of what was written, as it is measured. */
const LEAST_SHARE = 0.9

interface Took {
  readonly flush: number
  readonly stop: number
  /** With the unmount, which a stop has as well: the kernel lets go of all that it has in memory. */
  readonly unmounted: number
}

export const flush: Row = {
  name: 'flush',
  async measure(bench) {
    const volume = await makeVolume(bench, 'volume')
    const lines: Line[] = []
    for (const megabytes of bench.quick ? QUICK_SIZES : SIZES) {
      bench.say(`${megabytes} MB`)
      const rounds = await interleave(bench.quick ? 1 : 5, {
        guestd: () => byGuestd(bench, volume, megabytes),
        baseline: () => byHand(volume, megabytes),
      })
      const shared = { unit: 'ms', baselineName: 'sync -f of the same' } as const
      lines.push(
        toLine(
          { name: `flush: ${megabytes} MB dirty`, ...shared },
          figures(rounds, side => side.flush),
        ),
        toLine(
          {
            name: `stop: ${megabytes} MB dirty, to the receipt`,
            ...shared,
            budget: { of: 'ratio', atMost: 1.2, plus: 100 },
          },
          figures(rounds, side => side.stop),
        ),
        toLine(
          { name: 'stop: the same', unit: 'ms', baselineName: 'sync -f of the same, umount' },
          figures(rounds, side => side.unmounted),
        ),
      )
    }
    return lines
  },
}

/**
 * The file is another one each time. Its blocks are there before it is written: ext4 writes out at once
 * what has none yet and comes to half of what is free (ext4_nonda_switch in fs/ext4/inode.c).
 */
const write = (megabytes: number) => `set -e
  rm -f file; fallocate -l ${megabytes * MB} file; sync -f .
  exec dd if=/dev/zero of=file bs=${MB} count=${megabytes} conv=notrunc status=none`

/** @throws where a machine with little memory has written some of it out already */
function checkDirty(megabytes: number): void {
  const dirty = readDirtyBytes() / MB
  if (dirty < LEAST_SHARE * megabytes)
    throw new Error(`of ${megabytes} MB only ${dirty.toFixed(0)} are still to be written out`)
}

async function byGuestd(bench: Bench, volume: Volume, megabytes: number): Promise<Took> {
  // Only what is measured writes anything out.
  const daemon = await volume.startDaemon({ flushEveryMs: 0 })
  const command = write(megabytes)
  await runScript(daemon, command)
  checkDirty(megabytes)
  const flush = await timeRequest(bench, daemon, '/v1/session/flush')
  await settle()
  await runScript(daemon, command)
  checkDirty(megabytes)
  const stop = await timeRequest(bench, daemon, '/v1/session/stop')
  await daemon.stop()
  await settle()
  return { flush, stop, unmounted: stop }
}

async function byHand(volume: Volume, megabytes: number): Promise<Took> {
  await volume.mount()
  const fill = () => execa(BASH, ['-c', write(megabytes)], { cwd: volume.at })
  const sync = () => execa('sync', ['-f', volume.at])
  await fill()
  checkDirty(megabytes)
  const flush = await timed(sync)
  await settle()
  await fill()
  checkDirty(megabytes)
  const stop = await timed(sync)
  const unmounted = stop + (await timed(volume.unmount))
  await settle()
  return { flush, stop, unmounted }
}
