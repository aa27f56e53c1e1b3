/** A guestd to be measured: the built one, with settings as they come, and its log in a file. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const DAEMON = join(import.meta.dirname, '../../dist/guestd.js')

const PROFILER = join(import.meta.dirname, 'profiler.ts')

/** Far above any normal start. */
const START_LIMIT_MS = 20_000
const LOOK_MS = 5
const READY = '"msg":"serving"'

export interface DaemonOptions {
  /** Settings, as in a settings file. */
  readonly config?: Readonly<Record<string, unknown>>
  /** A folder for a CPU profile. */
  readonly profile?: string
}

export interface Daemon {
  /** As guestctl and the C programs take it. */
  readonly address: string
  readonly pid: number
  readonly workspace: string
  /** SIGTERM, and its end. Idempotent. */
  stop(): Promise<void>
}

export async function startDaemon(options: DaemonOptions = {}): Promise<Daemon> {
  const folder = await makeDaemonFolder(options.config)
  const logFile = join(folder.path, 'log')
  const log = openSync(logFile, 'w')
  const { profile } = options
  const nodeArgs = profile === undefined ? [] : ['--import', PROFILER]
  const child = spawn(process.execPath, [...nodeArgs, DAEMON, '--config', folder.settings], {
    env: { PATH: process.env.PATH, BENCH_PROFILE_DIR: profile },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const deadline = Date.now() + START_LIMIT_MS
  for (let said = ''; !said.includes(READY); said = await readFile(logFile, 'utf8')) {
    if (hasEnded(child) || Date.now() > deadline) throw new Error(`guestd did not start: ${said}`)
    await new Promise(resolve => setTimeout(resolve, LOOK_MS))
  }
  return {
    address: folder.address,
    pid: child.pid ?? -1,
    workspace: folder.workspace,
    async stop() {
      await end(child)
      await folder.remove()
    },
  }
}

/** Milliseconds from the spawn to guestd's word that it serves. */
export async function timeToReady(): Promise<number> {
  const folder = await makeDaemonFolder()
  const from = performance.now()
  const child = spawn(process.execPath, [DAEMON, '--config', folder.settings], {
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const took = await new Promise<number>((resolve, reject) => {
    let said = ''
    child.stdout.on('data', chunk => {
      said += chunk
      if (said.includes(READY)) resolve(performance.now() - from)
    })
    child.stdout.on('end', () => reject(new Error(`guestd did not start: ${said}`)))
  })
  await end(child)
  await folder.remove()
  return took
}

interface DaemonFolder {
  readonly path: string
  readonly settings: string
  readonly address: string
  readonly workspace: string
  remove(): Promise<void>
}

async function makeDaemonFolder(config: DaemonOptions['config'] = {}): Promise<DaemonFolder> {
  if (!existsSync(DAEMON)) throw new Error('guestd is not built: run make build')
  const path = await mkdtemp(join(tmpdir(), 'guestd-bench-'))
  const [settings, workspace] = [join(path, 'config.json'), join(path, 'workspace')]
  const address = `unix:${join(path, 'api.sock')}`
  mkdirSync(workspace)
  const own = { listen: [address], workspace, runDir: join(path, 'run') }
  await writeFile(settings, JSON.stringify({ ...own, ...config }))
  const remove = () => rm(path, { recursive: true, force: true })
  return { path, settings, address, workspace, remove }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  await exit
}
