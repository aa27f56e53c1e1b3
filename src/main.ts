#!/usr/bin/env node
/** guestd: the composition root. Reads the settings, starts the daemon, and turns signals into its stop. */
import { readFileSync } from 'node:fs'
import { type Config, ConfigError, type Loaded, loadConfig, renderSettings } from './config.ts'
import { addresses, type Daemon, startDaemon } from './lifecycle/daemon.ts'
import { createLog, type Log } from './log.ts'
import { version } from './version.ts'

const EXIT_FAILED = 1
const EXIT_BAD_SETTINGS = 2

function readSettings(): Loaded {
  try {
    return loadConfig({
      argv: process.argv.slice(2),
      env: process.env,
      readFile: path => readFileSync(path, 'utf8'),
      pid: process.pid,
      cwd: process.cwd(),
    })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`guestd: ${error.message}\n`)
    process.exit(EXIT_BAD_SETTINGS)
  }
}

async function run(config: Config): Promise<void> {
  if (addresses(config).length === 0) {
    process.stderr.write(
      'guestd: listen: there is nothing to listen on, and no default. Give --listen vsock:1023, ' +
        'GUESTD_LISTEN or the key "listen", or pass sockets by socket activation\n',
    )
    process.exit(EXIT_BAD_SETTINGS)
  }
  const log = createLog({ level: config.logLevel })
  const lifecycle = log.child({ component: 'lifecycle' })
  process.on('uncaughtException', error => fail(lifecycle, error))
  try {
    const daemon = await startDaemon(config, log, version)
    lifecycle.info({ version, listening: daemon.listening, pid: process.pid }, 'ready')
    stopOnSignals(daemon)
  } catch (error) {
    fail(lifecycle, error)
  }
}

function stopOnSignals(daemon: Daemon): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    process.on(signal, () => void daemon.stop().then(() => process.exit(0)))
}

function fail(log: Log, error: unknown): never {
  log.fatal({ err: error }, 'guestd failed')
  process.exit(EXIT_FAILED)
}

const loaded = readSettings()
if (loaded.action === 'help') process.stdout.write(loaded.text)
else if (loaded.action === 'version') process.stdout.write(`guestd ${version}\n`)
else if (loaded.action === 'check') process.stdout.write(renderSettings(loaded.config))
else await run(loaded.config)
