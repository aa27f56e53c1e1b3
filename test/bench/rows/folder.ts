/** A workspace that is a folder with 200,000 files: what it costs the daemon, and how old its figure is. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type Bench, figures, interleave, type Row } from '../bench.ts'
import type { Daemon } from '../daemon.ts'
import { percentile, toLine } from '../line.ts'
import { parseCrew } from '../tools.ts'
import { makeVolume } from '../volume.ts'
import { privateMib } from './memory.ts'

const FILES = 200_000
const FILES_A_FOLDER = 1_000
const WRITTEN_BYTES = 65_536
/** Node gives memory back once it has nothing to do. */
const SETTLE_MS = 5_000
const LOOK_MS = 10
const WARMUPS = 20
const REFUSED_MS = 10

export const folder: Row = {
  name: 'folder',
  async measure(bench) {
    const files = bench.quick ? FILES / 50 : FILES
    // On a file system of its own, so that it is like the others.
    const volume = await makeVolume(bench, 'full')
    await volume.mount()
    const full = volume.at
    fill(full, files)
    const name = `folder of ${files.toLocaleString('en')} files`
    const large = await bench.startDaemon({ config: { workspace: full } })
    const empty = await bench.startDaemon()
    await setTimeout(SETTLE_MS)
    const memory = [{ guestd: await privateMib(large.pid), baseline: await privateMib(empty.pid) }]
    const delays = await interleave(1, {
      guestd: () => delayOf(large, full),
      baseline: () => delayOf(empty, empty.workspace),
    })
    await large.stop()
    const walked = await bench.startDaemon({ config: { workspace: full, workspaceCapBytes: 1 } })
    const walking = walkOn(walked)
    const asked = await interleave(bench.quick ? 2 : 9, {
      guestd: () => ask(bench, walked),
      baseline: () => ask(bench, empty),
    })
    await walking.stop()
    await walked.stop()
    const baselineName = 'the same of an empty folder'
    return [
      toLine(
        { name: `${name}: from a write to its figure`, unit: 'ms', baselineName },
        figures(delays, ms => ms),
      ),
      toLine(
        {
          name: `${name}: private memory`,
          unit: 'MiB',
          baselineName,
          budget: { of: 'figure', atMost: 30 },
        },
        memory,
      ),
      ...([50, 99] as const).map(percent =>
        toLine(
          {
            name: `${name}: GET /v1/session while it is walked, p${percent}`,
            unit: 'ms',
            baselineName,
          },
          figures(asked, times => percentile(times, percent)),
        ),
      ),
    ]
  },
}

function fill(at: string, files: number): void {
  for (let n = 0; n < files; n++) {
    const below = join(at, `folder-${Math.floor(n / FILES_A_FOLDER)}`)
    if (n % FILES_A_FOLDER === 0) mkdirSync(below)
    writeFileSync(join(below, `file-${n}`), '')
  }
}

/** Right after a figure: the next one is as far away as it can be. */
async function delayOf(daemon: Daemon, at: string): Promise<number> {
  const before = await usageOf(daemon)
  for (let now = before; now?.at === before?.at; now = await usageOf(daemon)) {
    if (now !== null && before === null) break
    // A watched folder is not walked until something changes.
    if (daemon.workspace === at) break
    await setTimeout(LOOK_MS)
  }
  const known = (await usageOf(daemon))?.usedBytes ?? 0
  const from = performance.now()
  writeFileSync(join(at, `written-${from}`), Buffer.alloc(WRITTEN_BYTES))
  while (((await usageOf(daemon))?.usedBytes ?? 0) < known + WRITTEN_BYTES)
    await setTimeout(LOOK_MS)
  return performance.now() - from
}

async function ask(bench: Bench, { address }: Daemon): Promise<readonly number[]> {
  const words = [address, bench.quick ? 50 : 300, WARMUPS, 1, 'GET', '/v1/session']
  return parseCrew(await bench.tools.run('request', words)).times
}

/** A full folder is walked again for each command that is refused: without a pause. */
function walkOn(daemon: Daemon): { stop(): Promise<void> } {
  let isOver = false
  const refuse = async () => {
    while (!isOver) {
      const { status, text } = await call(daemon, 'POST', '/v1/commands', '{"command":"true"}')
      if (status !== 507) throw new Error(`not refused: ${status} ${text}`)
      await setTimeout(REFUSED_MS)
    }
  }
  const refusing = refuse()
  return {
    async stop() {
      isOver = true
      await refusing
    },
  }
}

async function usageOf(
  daemon: Daemon,
): Promise<{ readonly usedBytes: number; readonly at: string } | null> {
  const { text } = await call(daemon, 'GET', '/v1/session')
  return JSON.parse(text).workspace.usage
}

function call({ address }: Daemon, method: string, path: string, body?: string) {
  const socketPath = address.slice('unix:'.length)
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  const sent = request({ socketPath, method, path, headers }, async reply => {
    let text = ''
    for await (const chunk of reply) text += chunk
    resolve({ status: reply.statusCode ?? 0, text })
  })
  sent.on('error', reject).end(body)
  return promise
}
