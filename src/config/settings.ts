/**
 * Every setting of guestd: type, default, range and a sentence, in one table. `--help` and the
 * documents are made from it.
 */

import {
  addresses,
  boolean,
  fileMode,
  fraction,
  groupName,
  hostNames,
  integer,
  type Key,
  oneOf,
  optional,
  path,
  secret,
  userName,
  variables,
  workspace,
} from './keys.ts'

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
/** A hundred years. */
const MAX_RETENTION_MS = 36_525 * DAY_MS

/** Longest delay of a timer of Node, 24.8 days. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** A limit shorter than this refuses honest peers. */
const MIN_NETWORK_MS = 10

/** One page: less cannot hold what a pipe gives at once. */
const MIN_RING_BYTES = 4 * KIB

/** Largest value of kernel.pid_max on 64 bits. */
const MAX_PIDS = 2 ** 22

/** fs.nr_open as the kernel has it by default. */
const MAX_NOFILE = 2 ** 20

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]

const keepOrReset = ['keep', 'reset'] as const
const powerOffs = ['poweroff', 'reboot'] as const

export const table = {
  listen: addresses('Where to serve the API. Nothing is served unasked: there is no default.'),
  authToken: optional(
    secret(
      'The token that every request but GET /healthz carries as Authorization: Bearer, on all listeners; null: none is asked for. A TCP listener takes one.',
    ),
  ),
  authTokenFile: optional(
    path('', 'A file that has the token, in place of authToken; others may not read or write it.'),
  ),
  allowUnauthenticated: boolean(
    false,
    'Whether a TCP listener may serve without a token: every process of the machine can then do what guestd can.',
  ),
  tcpHosts: hostNames(
    'Host names that requests over TCP may have in Host, beside localhost and loopback addresses.',
  ),
  unixMode: fileMode('0600', 'The mode of the sockets that unix: listeners make.'),
  unixGroup: optional(
    groupName("The group of the sockets that unix: listeners make; null: guestd's own."),
  ),
  workspace: workspace(
    '/mnt/workspace',
    'What commands work in: a folder, or a block device or image file with an ext4, or the label of one.',
  ),
  workspaceMount: path(
    '/mnt/workspace',
    'Where the workspace is mounted when it is a device, an image file or a label.',
  ),
  workspaceCapBytes: integer(
    GIB,
    0,
    Number.MAX_SAFE_INTEGER,
    'How much a workspace that is a folder may hold before new commands are refused, in bytes; 0: no cap. A device is its own cap.',
  ),
  requireSession: boolean(
    false,
    'Whether the workspace and commands wait until the host says which session this is.',
  ),
  formatBlank: boolean(
    false,
    'Whether a workspace that is a blank device or image file, named by its path, is formatted.',
  ),
  retentionMs: integer(
    14 * DAY_MS,
    0,
    MAX_RETENTION_MS,
    'After how long without activity a workspace on a device has expired, in milliseconds; 0: never.',
  ),
  onExpired: oneOf('keep', keepOrReset, 'What becomes of a workspace that has expired.'),
  onVersionChange: oneOf(
    'keep',
    keepOrReset,
    'What becomes of a workspace that another runtimeVersion has used; reset takes requireSession.',
  ),
  user: optional(
    userName("The user that commands run as unless they ask for another; null: guestd's own."),
  ),
  allowRoot: boolean(true, 'Whether a command may ask to run as root.'),
  env: variables(
    { LANG: 'C.UTF-8' },
    "The base environment of commands. Nothing of guestd's own is seen by them.",
  ),
  logLevel: oneOf('info', logLevels, 'The least severe lines that are logged.'),
  logCommands: boolean(false, 'Whether the text of commands is logged.'),
  runDir: path(
    '/run/guestd',
    'Where guestd keeps what has to outlive a restart of itself, but not of the machine.',
  ),
  killGraceMs: integer(
    5_000,
    0,
    10 * MINUTE_MS,
    'How long a command has between SIGTERM and SIGKILL, in milliseconds.',
  ),
  stopLimitMs: integer(
    15_000,
    100,
    10 * MINUTE_MS,
    'How long ending the commands may take when guestd stops, in milliseconds.',
  ),
  flushLimitMs: integer(
    2 * MINUTE_MS,
    100,
    HOUR_MS,
    'How long making the workspace durable may take when guestd stops, in milliseconds.',
  ),
  flushEveryMs: integer(
    5_000,
    0,
    HOUR_MS,
    'How often guestd makes a workspace on a device durable while there is something to write, in milliseconds; 0: only when asked.',
  ),
  idleMs: integer(
    0,
    0,
    MAX_TIMER_MS,
    'After how long without any work the session is stopped, in milliseconds; 0: never.',
  ),
  lifetimeMs: integer(
    0,
    0,
    MAX_TIMER_MS,
    'How long after the first start of guestd in a boot the session is stopped, in milliseconds; 0: never.',
  ),
  busyDescendants: boolean(
    false,
    'Whether what an ended command left running counts as work, too.',
  ),
  powerOff: optional(
    oneOf(
      'poweroff',
      powerOffs,
      'What becomes of the machine after a stop by the API or by a limit; null: it stays, and guestd answers as stopped.',
    ),
  ),
  reattachGraceMs: integer(
    30_000,
    0,
    HOUR_MS,
    'How long a command whose stream was cut is held for a reader to come back, in milliseconds.',
  ),
  stdinSilenceMs: integer(
    10_000,
    0,
    HOUR_MS,
    'How long a writer to standard input may send nothing before a writer that names the next offset takes its turn, in milliseconds.',
  ),
  timeoutMs: integer(
    5 * MINUTE_MS,
    0,
    MAX_TIMER_MS,
    'The time limit of a command that names none and is not detached, in milliseconds; 0: none.',
  ),
  keepaliveMs: integer(
    15_000,
    MIN_NETWORK_MS,
    10 * MINUTE_MS,
    'After how much silence a stream of frames gets a keepalive, in milliseconds.',
  ),
  maxCommands: integer(256, 1, 100_000, 'How many commands may run at once.'),
  maxConnections: integer(1_024, 1, 65_536, 'How many connections each listener holds at once.'),
  headersTimeoutMs: integer(
    10_000,
    MIN_NETWORK_MS,
    10 * MINUTE_MS,
    "How long a connection may take for a request's header, in milliseconds.",
  ),
  bodyTimeoutMs: integer(
    30_000,
    MIN_NETWORK_MS,
    10 * MINUTE_MS,
    "How long a request's JSON body may take, in milliseconds.",
  ),
  output: {
    ringBytes: integer(
      16 * MIB,
      MIN_RING_BYTES,
      GIB,
      "How much memory a command's output takes, in bytes; the oldest goes first.",
    ),
    totalBytes: integer(
      128 * MIB,
      MIN_RING_BYTES,
      64 * GIB,
      'How much memory the output of all commands takes, in bytes; less where the machine has too little.',
    ),
    keepMs: integer(
      10 * MINUTE_MS,
      0,
      24 * HOUR_MS,
      'How long an ended command can be read, in milliseconds.',
    ),
    keepCommands: integer(1_000, 0, 100_000, 'How many ended commands can be read at most.'),
  },
  reserve: {
    memoryBytes: optional(
      integer(
        0,
        0,
        Number.MAX_SAFE_INTEGER,
        'Memory that all commands together leave to guestd and the system, in bytes; at most a third of it. null: output.totalBytes and 160 MiB.',
      ),
    ),
    pids: integer(
      256,
      0,
      MAX_PIDS,
      'Processes and threads that all commands together leave to the rest of the machine, beside those that it has when guestd starts; at most a third of what there can be.',
    ),
  },
  limits: {
    memoryBytes: optional(
      integer(
        0,
        1,
        Number.MAX_SAFE_INTEGER,
        'Memory of a command that asks for no limit, in bytes; null: no limit.',
      ),
    ),
    pids: optional(integer(0, 1, MAX_PIDS, 'Processes and threads of a command; null: no limit.')),
    cpus: optional(fraction(0, 4_096, 'Processors of a command; null: no limit.')),
    nofile: optional(
      integer(0, 1, MAX_NOFILE, "Open files of each process; null: as guestd's own limit is."),
    ),
  },
} as const

/** The settings that a table describes. */
type Settings<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Key<infer Value>
    ? Value
    : Settings<Table[Name]>
}

export type TableSettings = Settings<typeof table>

/** A key with its names: `output.ringBytes`, and `GUESTD_OUTPUT_RING_BYTES` in the environment. */
export interface NamedKey {
  readonly name: string
  readonly variable: string
  readonly key: Key<unknown>
}

/** The table's rows, in its order. */
export const rows: readonly NamedKey[] = flatten(table, '')

function flatten(branch: object, prefix: string): NamedKey[] {
  return Object.entries(branch).flatMap(([part, entry]: [string, Key<unknown> | object]) => {
    const name = `${prefix}${part}`
    return 'fromText' in entry
      ? [{ name, variable: variableOf(name), key: entry }]
      : flatten(entry, `${name}.`)
  })
}

function variableOf(name: string): string {
  return `GUESTD_${name.replace(/[A-Z]/g, '_$&').replaceAll('.', '_').toUpperCase()}`
}
