/** A look into a running guestd: what it holds, after its garbage has been collected. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Guestd, until } from './guestd.ts'

export interface Insight {
  /** By kind, as `process.getActiveResourcesInfo` names them: `Timeout`, `PipeWrap`, … */
  readonly resources: Readonly<Record<string, number>>
  readonly heapUsed: number
  /** Buffers. */
  readonly arrayBuffers: number
  readonly rss: number
}

/** Runs in guestd before its own code: on SIGWINCH it collects garbage and writes what it holds. */
const PROBE = `
import { renameSync, writeFileSync } from 'node:fs'
process.on('SIGWINCH', async () => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc()
    await new Promise(resolve => setImmediate(resolve))
  }
  const resources = {}
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage()
  // guestd --config FILE
  const path = process.argv[3] + '.probe'
  writeFileSync(path + '.next', JSON.stringify({ resources, heapUsed, arrayBuffers, rss }))
  renameSync(path + '.next', path)
})
`

/** For `nodeArgs` of a guestd that is to be looked into. */
export const PROBE_ARGS = [
  '--expose-gc',
  '--import',
  `data:text/javascript,${encodeURIComponent(PROBE)}`,
]

/** It was started with {@link PROBE_ARGS}. */
export async function lookInto(guestd: Guestd): Promise<Insight> {
  const path = join(guestd.dir, 'config.json.probe')
  rmSync(path, { force: true })
  process.kill(guestd.pid, 'SIGWINCH')
  await until(() => existsSync(path))
  return JSON.parse(readFileSync(path, 'utf8'))
}
