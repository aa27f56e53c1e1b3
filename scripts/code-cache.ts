/** The daemon's code cache: what V8 compiles for a start of guestd, recorded by the build. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { toCacheFile } from '../src/launcher/cache-file.ts'
import { compileDaemon, runDaemon } from '../src/launcher/daemon-bundle.ts'
import { NODE_FOLDER, root } from './package/inputs.ts'

/**
 * Options that make V8's output reproducible: a fixed hash seed, no code collection, no background compilers. The last
 * option keeps those from starting: they compile no function without feedback.
 */
const RECORD_FLAGS = [
  '--hash-seed=1',
  '--no-flush-bytecode',
  '--no-sparkplug',
  '--invocation-count-for-feedback-allocation=2000000000',
]
/**
 * The defaults, for V8 rejects code that was recorded with other flags. The last one is a flag that guestd itself
 * sets (src/sys/memory.ts).
 */
const USUAL_FLAGS = [
  '--hash-seed=0',
  '--flush-bytecode',
  '--sparkplug',
  '--invocation-count-for-feedback-allocation=8',
  '--semi-space-growth-factor=2',
]

/** For the name that V8 records: no path of this machine. When it loads the code it takes the real one instead. */
const NAME = 'guestd-daemon.cjs'

/**
 * Starts guestd once and writes the code cache beside its bundle. The start has a bad setting and an inherited
 * socket: guestd then loads its settings, makes the API and serves, but looks at nothing of this machine, so
 * that the bytes depend on the bundle and on Node alone.
 * @throws Error with what the start printed
 */
export async function buildCodeCache(bundle: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'guestd-code-'))
  const server = createServer()
  let printed = ''
  try {
    await once(server.listen(join(folder, 'guestd.sock')), 'listening')
    // Node's types do not have the descriptor of a server.
    const { fd } = (server as unknown as { readonly _handle: { readonly fd: number } })._handle
    const child = spawn(
      join(NODE_FOLDER, 'bin/node'),
      [...RECORD_FLAGS, import.meta.filename, bundle],
      {
        // A folder that is never there: the log is kept nowhere.
        env: { LISTEN_FDS: '1', GUESTD_BAD: '', GUESTD_RUN_DIR: join(folder, 'run') },
        stdio: ['ignore', 'ignore', 'pipe', fd],
      },
    )
    child.stderr?.setEncoding('utf8').on('data', text => {
      printed += text
    })
    const [code] = await once(child, 'close')
    if (code !== 0) throw new Error(`the code cache was not made: ${code}\n${printed}`)
  } finally {
    server.close()
    await rm(folder, { recursive: true, force: true })
  }
}

async function record(bundle: string): Promise<void> {
  process.argv = [process.execPath, bundle, '--config', join(root, 'packaging/config.json')]
  process.env.LISTEN_PID = String(process.pid)
  const source = await readFile(bundle)
  const script = compileDaemon(source, NAME, null)
  await runDaemon(script, pathToFileURL(bundle).href, 'missing')
  for (const flag of USUAL_FLAGS) setFlagsFromString(flag)
  const code = script.createCachedData()
  await writeFile(bundle.replace(/\.cjs$/, '.cache'), toCacheFile(source, code))
  process.exit(0)
}

const [, , bundle] = process.argv
if (import.meta.main && bundle !== undefined)
  await record(bundle).catch(error => {
    // guestd would log it, to nowhere.
    console.error(error)
    process.exit(1)
  })
