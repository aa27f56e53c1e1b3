/** 1 GiB of a command's stdout, read by a C program, in each encoding that streams. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { StreamMediaType } from '../../../src/protocol/negotiate.ts'
import { type Bench, figures, interleave, type Row } from '../bench.ts'
import { type Budget, toLine } from '../line.ts'
import { BASH } from '../programs.ts'

const MIB = 1024 * 1024
/** Of the text that `cat` repeats: large enough that opening it costs nothing. */
const TEXT_FILE_BYTES = 64 * MIB
const LINE = `${'The quick brown fox jumps over the lazy dog; 0123456789 {}[]'.padEnd(79, '.')}\n`

export const stream: Row = {
  name: 'stream',
  async measure(bench) {
    const bytes = (bench.quick ? 128 : 1024) * MIB
    const zeros = `head -c ${bytes} /dev/zero`
    const text = await textCommand(bench, bytes)
    const binary = { of: 'ratio', atLeast: 0.7 } as const
    return [
      await measure(bench, 'application/vnd.amazon.eventstream', zeros, bytes, 'binary', binary),
      await measure(bench, 'application/x-ndjson', text, bytes, 'text'),
      await measure(bench, 'text/event-stream', text, bytes, 'text'),
    ]
  },
}

async function measure(
  bench: Bench,
  accept: StreamMediaType,
  command: string,
  bytes: number,
  content: string,
  budget?: Budget,
) {
  const { address, stop } = await bench.startDaemon()
  const body = JSON.stringify({ command })
  const rounds = await interleave(bench.quick ? 2 : 7, {
    guestd: async () => {
      const words = ['request', address, accept, 'POST', '/v1/commands', body]
      const read = parseSink(await bench.tools.run('sink', words))
      // Every encoding has the JSON of `end` in it: no byte may be missing.
      const whole = `"stdoutBytes":${bytes},"stderrBytes":0,"truncated":0`
      if (!read.tail.includes(whole)) throw new Error(`${accept} ended with ${read.tail}`)
      return read
    },
    baseline: async () => {
      const words = ['command', BASH, '-c', `${command} | cat`]
      const read = parseSink(await bench.tools.run('sink', words))
      if (read.bytes !== bytes) throw new Error(`cat wrote ${read.bytes} bytes`)
      return read
    },
  })
  await stop()
  const name = `stream: ${content}, ${accept}`
  const baselineName = 'the same | cat into a Unix socket'
  return toLine(
    { name, unit: 'MiB/s', baselineName, ...(budget && { budget }) },
    figures(rounds, ({ ns }) => bytes / MIB / (ns / 1e9)),
  )
}

/** Prints ASCII lines, as fast as a file in the page cache is read. */
async function textCommand(bench: Bench, bytes: number): Promise<string> {
  const file = join(bench.scratch, 'text')
  await writeFile(file, LINE.repeat(TEXT_FILE_BYTES / LINE.length + 1).slice(0, TEXT_FILE_BYTES))
  return `cat ${Array(bytes / TEXT_FILE_BYTES)
    .fill(file)
    .join(' ')}`
}

interface Read {
  readonly bytes: number
  readonly ns: number
  readonly tail: string
}

function parseSink(printed: string): Read {
  const value = (name: string) => new RegExp(`^${name} (.*)$`, 'm').exec(printed)?.[1] ?? ''
  return { bytes: Number(value('bytes')), ns: Number(value('ns')), tail: value('tail') }
}
