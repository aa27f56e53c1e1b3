/** A real guestd for a test: built, started on a Unix socket with a folder of its own, and ended with the test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, type RequestOptions, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** `test/asan.ts` sets these for a daemon with another addon. */
const { GUESTD_TEST_DIST, GUESTD_TEST_PRELOAD } = process.env
const DAEMON = join(GUESTD_TEST_DIST ?? join(import.meta.dirname, '../../dist'), 'guestd.js')
/**
 * Node itself does not free all at its exit: only what the addon does wrong counts. What is freed
 * is kept for a while, to find who uses it still; memory is looked at by tests too.
 */
const PRELOAD =
  GUESTD_TEST_PRELOAD === undefined
    ? {}
    : { LD_PRELOAD: GUESTD_TEST_PRELOAD, ASAN_OPTIONS: 'detect_leaks=0:quarantine_size_mb=8' }
/** Far above any normal start, far below a test's limit. */
const START_LIMIT_MS = 20_000

/** Far above any normal mount, and the check before it. */
const MOUNT_LIMIT_MS = 60_000

/** What a test needs of tap's `t`. */
export interface Teardown {
  teardown(undo: () => unknown): void
}

export interface GuestdOptions {
  /** Settings, as in a settings file. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string>>
  /** Another addon than the built one: its path. */
  readonly nodeArgs?: readonly string[]
  /** A program and its arguments that becomes guestd by exec, such as `['env', '--ignore-signal=HUP']`. */
  readonly wrap?: readonly string[]
  /** false: a start does not wait for a mount that takes longer than guestd itself waits. */
  readonly waitForMount?: boolean
}

export interface Guestd {
  readonly connect: string
  readonly socketPath: string
  readonly dir: string
  readonly workspace: string
  readonly pid: number
  /** Lines of its log so far. */
  readonly log: () => string
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>
  /** SIGKILL, as a crash. */
  kill(): Promise<void>
  /** Starts it again on the same folder. */
  start(): Promise<void>
  request(method: string, path: string, options?: CallOptions): Promise<Reply>
  /** The reply once its header is there; the body is the caller's to read. */
  open(method: string, path: string, options?: CallOptions): Promise<IncomingMessage>
}

export interface CallOptions {
  readonly headers?: RequestOptions['headers']
  /** Objects go as JSON. */
  readonly body?: string | Uint8Array | object
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  readonly text: string
  json(): Record<string, unknown>
  /** The frames of an ndjson body. */
  frames(): WireFrame[]
}

/** A frame as it is on the wire in JSON. */
export type WireFrame = Record<string, unknown> & { readonly type: string; readonly cursor: number }

export async function startGuestd(t: Teardown, options: GuestdOptions = {}): Promise<Guestd> {
  const dir = mkdtempSync(join(tmpdir(), 'guestd-'))
  const socketPath = join(dir, 'api.sock')
  const workspace = join(dir, 'workspace')
  const settings = join(dir, 'config.json')
  mkdirSync(workspace)
  writeFileSync(
    settings,
    JSON.stringify({
      listen: [`unix:${socketPath}`],
      workspace,
      runDir: join(dir, 'run'),
      ...options.config,
    }),
  )
  let child: ChildProcess | null = null
  let log = ''

  const start = async () => {
    const node = [
      process.execPath,
      '--disable-sigusr1',
      ...(options.nodeArgs ?? []),
      DAEMON,
      '--config',
      settings,
    ]
    const [program = '', ...args] = [...(options.wrap ?? []), ...node]
    const started = spawn(program, args, {
      env: { PATH: process.env.PATH, ...PRELOAD, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child = started
    const from = log.length
    for (const stream of [started.stdout, started.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        log += text
      })
    }
    const deadline = Date.now() + START_LIMIT_MS
    while (!log.slice(from).includes('"msg":"serving"')) {
      if (started.exitCode !== null || started.signalCode !== null || Date.now() > deadline)
        throw new Error(`guestd did not start: ${log.slice(from)}`)
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    if (options.config?.workspaceMount === undefined || options.waitForMount === false) return
    await until(() => isMountSettled(socketPath), MOUNT_LIMIT_MS)
  }

  const end = async (signal: NodeJS.Signals) => {
    const ending = child
    if (ending === null) return null
    child = null
    if (ending.exitCode !== null) return ending.exitCode
    const exit = once(ending, 'exit')
    ending.kill(signal)
    const [code] = await exit
    return code
  }

  t.teardown(async () => {
    await end('SIGTERM')
    rmSync(dir, { recursive: true, force: true })
  })
  await start()

  const open = (method: string, path: string, call: CallOptions = {}) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const { body } = call
      const raw = body === undefined || typeof body === 'string' || body instanceof Uint8Array
      const headers = raw ? {} : { 'content-type': 'application/json' }
      const sent = request(
        { socketPath, method, path, headers: { ...headers, ...call.headers } },
        resolve,
      )
      sent.on('error', reject)
      sent.end(raw ? body : JSON.stringify(body))
    })

  return {
    connect: `unix:${socketPath}`,
    socketPath,
    dir,
    workspace,
    get pid() {
      return child?.pid ?? -1
    },
    log: () => log,
    stop: () => end('SIGTERM'),
    kill: async () => void (await end('SIGKILL')),
    start,
    open,
    async request(method, path, call) {
      const reply = await open(method, path, call)
      const chunks: Buffer[] = []
      for await (const chunk of reply) chunks.push(chunk)
      const body = Buffer.concat(chunks)
      const text = body.toString('utf8')
      return {
        status: reply.statusCode ?? 0,
        headers: reply.headers,
        body,
        text,
        json: () => JSON.parse(text),
        frames: () => parseFrames(text),
      }
    },
  }
}

/** The workspace is mounted, or it is known why not. */
async function isMountSettled(socketPath: string): Promise<boolean> {
  const session = await new Promise<IncomingMessage>((resolve, reject) =>
    request({ socketPath, path: '/v1/session' }, resolve).on('error', reject).end(),
  )
  const chunks: Buffer[] = []
  for await (const chunk of session) chunks.push(chunk)
  return !Buffer.concat(chunks).includes('it is being mounted')
}

export function parseFrames(text: string): WireFrame[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

/** The bytes of one stream in a list of frames. */
export function bytesOf(frames: readonly WireFrame[], stream: string): Buffer {
  return Buffer.concat(
    frames
      .filter(frame => frame.type === 'output' && frame.stream === stream)
      .map(frame =>
        typeof frame.text === 'string'
          ? Buffer.from(frame.text, 'utf8')
          : Buffer.from(String(frame.base64), 'base64'),
      ),
  )
}

export interface Outcome {
  readonly status: number
  readonly frames: WireFrame[]
  readonly stdout: string
  readonly stderr: string
  readonly exit: WireFrame
  readonly end: WireFrame
}

/** Runs a command to its end. */
export async function run(guestd: Guestd, body: object): Promise<Outcome> {
  const reply = await guestd.request('POST', '/v1/commands', { body })
  if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.text}`)
  const frames = reply.frames()
  const find = (type: string) => {
    const frame = frames.find(one => one.type === type)
    if (frame === undefined) throw new Error(`no ${type} frame in ${reply.text}`)
    return frame
  }
  return {
    status: reply.status,
    frames,
    stdout: bytesOf(frames, 'stdout').toString(),
    stderr: bytesOf(frames, 'stderr').toString(),
    exit: find('exit'),
    end: find('end'),
  }
}

/** Waits until the condition holds. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  limitMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + limitMs
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${condition}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
