/** A stop and the start after it, with many small files that have just been written. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { type Bench, figures, interleave, type Row } from '../bench.ts'
import { toLine } from '../line.ts'
import { BASH } from '../programs.ts'
import { makeVolume, runScript, settle, timed, timeRequest, type Volume } from '../volume.ts'

const FILES = 50_000
const FILES_A_FOLDER = 500
/** As in a usual node_modules. */
const FILE_BYTES = 1_300
const READ = 'cat files/folder-0/file-0'

interface Took {
  readonly stop: number
  readonly resume: number
}

export const resume: Row = {
  name: 'resume',
  async measure(bench) {
    const files = bench.quick ? FILES / 50 : FILES
    const tar = await makeTar(bench, files)
    const [volume, empty] = [await makeVolume(bench, 'volume'), await makeVolume(bench, 'empty')]
    const emptyStarts: number[] = []
    const rounds = await interleave(bench.quick ? 1 : 5, {
      async guestd() {
        emptyStarts.push((await byGuestd(bench, empty, 'true', 'true')).resume)
        return await byGuestd(bench, volume, unpack(tar), READ)
      },
      baseline: () => byHand(volume, tar),
    })
    const name = `${files.toLocaleString('en')} files`
    return [
      toLine(
        {
          name: `stop: ${name} just written, to the receipt`,
          unit: 'ms',
          baselineName: 'sync -f, umount',
          budget: { of: 'ratio', atMost: 1.2, plus: 100 },
        },
        figures(rounds, ({ stop }) => stop),
      ),
      toLine(
        {
          name: `resume: ${name}, spawn to the first command’s end`,
          unit: 'ms',
          baselineName: 'the same of an empty volume',
        },
        rounds.map(({ guestd }, index) => ({
          guestd: guestd.resume,
          baseline: emptyStarts[index + 1] ?? Number.NaN,
        })),
      ),
      toLine(
        {
          name: `stop and resume: ${name}`,
          unit: 'ms',
          baselineName: 'sync -f, umount, mount, and bash',
        },
        figures(rounds, ({ stop, resume }) => stop + resume),
      ),
    ]
  },
}

const unpack = (tar: string) => `rm -rf files; mkdir files; exec tar -x -f ${tar} -C files`

async function makeTar(bench: Bench, files: number): Promise<string> {
  const [folder, tar] = [join(bench.scratch, 'files'), join(bench.scratch, 'files.tar')]
  mkdirSync(folder)
  for (let n = 0; n < files; n++) {
    const parent = join(folder, `folder-${Math.floor(n / FILES_A_FOLDER)}`)
    if (n % FILES_A_FOLDER === 0) mkdirSync(parent)
    writeFileSync(join(parent, `file-${n}`), `${n}\n`.padEnd(FILE_BYTES, 'x'))
  }
  await execa('tar', ['-c', '-f', tar, '-C', folder, '.'])
  return tar
}

/** @param fill before the stop. @param read the first command after it */
async function byGuestd(bench: Bench, volume: Volume, fill: string, read: string): Promise<Took> {
  const first = await volume.startDaemon({ flushEveryMs: 0 })
  await runScript(first, fill)
  const stop = await timeRequest(bench, first, '/v1/session/stop')
  await first.stop()
  await settle()
  const from = performance.now()
  const second = await volume.startDaemon({ flushEveryMs: 0 })
  await runScript(second, read)
  const resume = performance.now() - from
  await second.stop()
  await settle()
  return { stop, resume }
}

async function byHand(volume: Volume, tar: string): Promise<Took> {
  const bash = (script: string) => execa(BASH, ['-c', script], { cwd: volume.at })
  await volume.mount()
  await bash(unpack(tar))
  const stop = await timed(async () => {
    await execa('sync', ['-f', volume.at])
    await volume.unmount()
  })
  await settle()
  const resume = await timed(async () => {
    await volume.mount()
    await bash(READ)
  })
  await volume.unmount()
  await settle()
  return { stop, resume }
}
