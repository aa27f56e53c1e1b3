/** guestd: reads the settings, starts the daemon, and stops it on signals. */
import './sys/signals.ts'
import './sys/young-generation.ts'

import { readFileSync } from 'node:fs'
import { codeCache } from './code-cache.ts'
import { ConfigError, type Loaded, loadConfig, renderSettings } from './config/config.ts'
import type { Config } from './config/types.ts'
import { type Daemon, startDaemon } from './daemon/daemon.ts'
import { startMisconfigured } from './daemon/misconfigured.ts'
import { openStopSignals, type StopSignals } from './daemon/stop-signals.ts'
import { createSupervision, type Supervision } from './daemon/supervision.ts'
import { StartError } from './errors.ts'
import { createLog, type RootLog } from './log.ts'
import { createLogRing } from './log-ring.ts'
import { addresses } from './server/serve.ts'
import { exitNow } from './sys/exit.ts'
import { closeInspector } from './sys/inspector.ts'
import { keepYoungGenerationSmall } from './sys/memory.ts'
import { createNotifier, type Notifier } from './sys/notify.ts'
import { readSecretFile } from './util/secret-file.ts'
import { version } from './version.ts'

const EXIT_FAILED = 1
const EXIT_BAD_SETTINGS = 2
/** Longest wait for stdout to take the last log lines, in milliseconds. */
const LAST_LINES_MS = 500
/** Longer than every wait of a start, such as that for the end of earlier commands, in milliseconds. */
const START_LIMIT_MS = 60_000

function readSettings(): Loaded | ConfigError {
  try {
    return loadConfig({
      argv: process.argv.slice(2),
      env: process.env,
      readFile: path => readFileSync(path, 'utf8'),
      readSecret: readSecretFile,
      pid: process.pid,
      cwd: process.cwd(),
    })
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
}

/**
 * Bad settings end guestd, unless its service manager holds sockets: then guestd reports the reason there. If it ended,
 * the manager would start it again and again.
 */
async function refuse(error: ConfigError): Promise<void> {
  const { action, bad, config } = error
  for (const { message } of bad) process.stderr.write(`guestd: ${message}\n`)
  if (action === 'check' || config.inheritedFds.length === 0) process.exit(EXIT_BAD_SETTINGS)
  await run(config, async (log, _notifier, asked) => {
    const daemon = await startMisconfigured(bad, config, log, version)
    const { listening } = daemon
    if (!asked.aborted)
      log.error({ component: 'lifecycle', version, listening, bad }, 'misconfigured')
    return daemon
  })
}

async function start(config: Config): Promise<void> {
  if (addresses(config).length === 0) {
    process.stderr.write(
      'guestd: listen: there is nothing to listen on, and no default. Give --listen vsock:1023, ' +
        'GUESTD_LISTEN or the key "listen", or pass sockets by socket activation\n',
    )
    process.exit(EXIT_BAD_SETTINGS)
  }
  await run(config, async (log, notifier, asked) => {
    const daemon = await startDaemon({ config, log, version, notifier, asked })
    const { listening } = daemon
    if (!asked.aborted)
      log.info({ component: 'lifecycle', version, listening, pid: process.pid }, 'serving')
    return daemon
  })
}

async function run(
  config: Config,
  startIt: (log: RootLog, notifier: Notifier, asked: AbortSignal) => Promise<Daemon>,
): Promise<void> {
  const signals = openStopSignals()
  const log = createLog({ level: config.logLevel, ring: createLogRing(config.runDir) })
  log.debug({ component: 'lifecycle', codeCache }, 'loaded')
  process.on('uncaughtException', error => fail(log, error))
  const notifier = createNotifier(config.notifySocket, errno =>
    log.warn({ component: 'lifecycle', errno }, 'notifications to the service manager fail'),
  )
  const supervision = createSupervision(notifier, config.watchdogMs)
  let started = false
  try {
    supervision.starting(START_LIMIT_MS)
    // The stop begins after the steps of the start have ended or are cancelled.
    signals.first.addEventListener('abort', () => {
      if (!started) supervision.stopping(START_LIMIT_MS)
    })
    const daemon = await startIt(log, notifier, signals.first)
    started = true
    await closeInspector()
    if (!signals.first.aborted) supervision.ready(daemon.status)
    stopOnSignals(signals, daemon, supervision, log)
  } catch (error) {
    if (!isExpected(error)) return fail(log, error)
    process.stderr.write(`guestd: ${error.message}\n`)
    leave(log, EXIT_FAILED)
  }
}

/** The message of a failed system call is enough to explain it. Any other error needs its stack. */
function isExpected(error: unknown): error is Error {
  return error instanceof StartError || (error instanceof Error && 'syscall' in error)
}

function stopOnSignals(
  signals: StopSignals,
  daemon: Daemon,
  supervision: Supervision,
  log: RootLog,
): void {
  let stopping = false
  const stop = async () => {
    if (!stopping) supervision.stopping(daemon.stopsWithinMs + LAST_LINES_MS)
    stopping = true
    const receipt = await daemon.stop()
    if (leaving) return
    leaving = true
    log.info({ component: 'lifecycle' }, 'stopped')
    leave(log, receipt?.clean === false ? EXIT_FAILED : 0)
  }
  let leaving = false
  signals.listen(() => void stop())
}

function fail(log: RootLog, error: unknown): void {
  log.fatal({ component: 'lifecycle', err: error }, 'guestd failed')
  leave(log, EXIT_FAILED)
}

/** Waits for stdout to take the last lines, but not for a console that is stalled. */
function leave(log: RootLog, code: number): void {
  setTimeout(() => exitNow(code), LAST_LINES_MS)
  void log.written().then(() => exitNow(code))
}

async function main(): Promise<void> {
  keepYoungGenerationSmall()
  const loaded = readSettings()
  if (loaded instanceof ConfigError) await refuse(loaded)
  else if (loaded.action === 'help') process.stdout.write(loaded.text)
  else if (loaded.action === 'version') process.stdout.write(`guestd ${version}\n`)
  else if (loaded.action === 'check') process.stdout.write(renderSettings(loaded.config))
  else await start(loaded.config)
}

/** Settles once guestd serves, or has printed help, version or settings. A script has no top-level `await`. */
export const started = main()
