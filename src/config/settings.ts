/**
 * Every setting of guestd in one table: type, default, range and a sentence. `--help` and `docs/settings.md` are made
 * from it.
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

/** A shorter limit would refuse well-behaved peers. */
const MIN_NETWORK_MS = 10

/** One page: the least that a pipe delivers in one read. */
const MIN_RING_BYTES = 4 * KIB

/** Largest value of kernel.pid_max on 64 bits. */
const MAX_PIDS = 2 ** 22

/** The kernel's default of fs.nr_open. */
const MAX_NOFILE = 2 ** 20

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]

const keepOrReset = ['keep', 'reset'] as const
const powerOffs = ['poweroff', 'reboot'] as const

export const table = {
  listen: addresses('Where to serve the API. There is no default.'),
  authToken: optional(
    secret(
      'The token that every request except GET /healthz sends as Authorization: Bearer, on all listeners; null: requests need no token. A TCP listener needs one.',
    ),
  ),
  authTokenFile: optional(
    path(
      '',
      'A file with the token, instead of authToken. Others must not be able to read or write it.',
    ),
  ),
  allowUnauthenticated: boolean(
    false,
    'Whether a TCP listener may serve without a token: every process of the machine can then run commands.',
  ),
  tcpHosts: hostNames(
    'Host names that requests over TCP may have in Host, besides localhost and loopback addresses.',
  ),
  unixMode: fileMode('0600', 'The mode of the sockets that unix: listeners create.'),
  unixGroup: optional(
    groupName("The group of the sockets that unix: listeners create; null: guestd's own."),
  ),
  workspace: workspace(
    '/mnt/workspace',
    'The workspace of commands: a folder, a block device or image file with an ext4, or the label of an ext4.',
  ),
  workspaceMount: path(
    '/mnt/workspace',
    'Where the workspace is mounted if it is a device, an image file or a label.',
  ),
  workspaceCapBytes: integer(
    GIB,
    0,
    Number.MAX_SAFE_INTEGER,
    'The size at which a workspace that is a folder takes no new commands, in bytes; 0: no cap. The size of a device is its cap.',
  ),
  requireSession: boolean(
    false,
    'Whether the workspace and commands wait until the host sets the session.',
  ),
  formatBlank: boolean(
    false,
    'Whether a workspace that is a blank device or image file, named by its path, is formatted.',
  ),
  retentionMs: integer(
    14 * DAY_MS,
    0,
    MAX_RETENTION_MS,
    'Time without activity after which a workspace on a device expires, in milliseconds; 0: never.',
  ),
  onExpired: oneOf('keep', keepOrReset, 'What happens to a workspace that has expired.'),
  onVersionChange: oneOf(
    'keep',
    keepOrReset,
    'What happens to a workspace that another runtimeVersion has used; reset needs requireSession.',
  ),
  user: optional(
    userName(
      "The user that commands run as unless the request names another one; null: guestd's own.",
    ),
  ),
  allowRoot: boolean(true, 'Whether a request may name root as the user.'),
  env: variables(
    { LANG: 'C.UTF-8' },
    "The base environment of commands. They get nothing of guestd's own environment.",
  ),
  logLevel: oneOf('info', logLevels, 'The least severe lines that are logged.'),
  logCommands: boolean(false, 'Whether the text of commands is logged.'),
  runDir: path(
    '/run/guestd',
    'The folder for state that survives a restart of guestd, but not of the machine.',
  ),
  killGraceMs: integer(
    5_000,
    0,
    10 * MINUTE_MS,
    'Time between SIGTERM and SIGKILL of a command, in milliseconds.',
  ),
  stopLimitMs: integer(
    15_000,
    100,
    10 * MINUTE_MS,
    'Longest time to end the commands when guestd stops, in milliseconds.',
  ),
  flushLimitMs: integer(
    2 * MINUTE_MS,
    100,
    HOUR_MS,
    'Longest time to make the workspace durable when guestd stops, in milliseconds.',
  ),
  flushEveryMs: integer(
    5_000,
    0,
    HOUR_MS,
    'Interval of flushes of a workspace on a device while there is something to write, in milliseconds; 0: only on request.',
  ),
  idleMs: integer(
    0,
    0,
    MAX_TIMER_MS,
    'Time without work after which the session is stopped, in milliseconds; 0: never.',
  ),
  lifetimeMs: integer(
    0,
    0,
    MAX_TIMER_MS,
    'Time after the first start of guestd in a boot at which the session is stopped, in milliseconds; 0: never.',
  ),
  busyDescendants: boolean(false, 'Whether processes that outlive their command count as work.'),
  powerOff: optional(
    oneOf(
      'poweroff',
      powerOffs,
      'What happens to the machine after a stop by the API or by a limit; null: nothing, and guestd reports the state stopped.',
    ),
  ),
  reattachGraceMs: integer(
    30_000,
    0,
    HOUR_MS,
    'How long a command whose stream was cut waits for its reader to reconnect, in milliseconds.',
  ),
  stdinSilenceMs: integer(
    10_000,
    0,
    HOUR_MS,
    'Silence after which a writer to standard input loses its turn to a writer that names the next offset, in milliseconds.',
  ),
  timeoutMs: integer(
    5 * MINUTE_MS,
    0,
    MAX_TIMER_MS,
    'The time limit of a command whose request has none and is not detached, in milliseconds; 0: none.',
  ),
  keepaliveMs: integer(
    15_000,
    MIN_NETWORK_MS,
    10 * MINUTE_MS,
    'Silence after which a stream gets a keepalive, in milliseconds.',
  ),
  maxCommands: integer(256, 1, 100_000, 'Most commands that run at the same time.'),
  maxConnections: integer(1_024, 1, 65_536, 'Most connections of each listener.'),
  headersTimeoutMs: integer(
    10_000,
    MIN_NETWORK_MS,
    10 * MINUTE_MS,
    'Longest time for the header of a request, in milliseconds.',
  ),
  bodyTimeoutMs: integer(
    30_000,
    MIN_NETWORK_MS,
    10 * MINUTE_MS,
    'Longest time for the JSON body of a request, in milliseconds.',
  ),
  output: {
    ringBytes: integer(
      16 * MIB,
      MIN_RING_BYTES,
      GIB,
      'Most memory for the output of a command, in bytes. The oldest output is dropped first.',
    ),
    totalBytes: integer(
      128 * MIB,
      MIN_RING_BYTES,
      64 * GIB,
      'Most memory for the output of all commands, in bytes; less if the machine has too little.',
    ),
    keepMs: integer(
      10 * MINUTE_MS,
      0,
      24 * HOUR_MS,
      'How long an ended command can be read, in milliseconds.',
    ),
    keepCommands: integer(1_000, 0, 100_000, 'Most ended commands that can be read.'),
  },
  reserve: {
    memoryBytes: optional(
      integer(
        0,
        0,
        Number.MAX_SAFE_INTEGER,
        'Memory that all commands together leave to guestd and the system, in bytes; at most a third of the memory. null: output.totalBytes and 160 MiB.',
      ),
    ),
    pids: integer(
      256,
      0,
      MAX_PIDS,
      'Processes and threads that all commands together leave to the rest of the machine, besides those that it has when guestd starts; at most a third of the maximum.',
    ),
  },
  limits: {
    memoryBytes: optional(
      integer(
        0,
        1,
        Number.MAX_SAFE_INTEGER,
        'Memory of a command whose request has no limit, in bytes; null: no limit.',
      ),
    ),
    pids: optional(integer(0, 1, MAX_PIDS, 'Processes and threads of a command; null: no limit.')),
    cpus: optional(fraction(0, 4_096, 'Processors of a command; null: no limit.')),
    nofile: optional(
      integer(0, 1, MAX_NOFILE, 'Open files of each process; null: the limit of guestd.'),
    ),
  },
} as const

/** The type of the settings in a table. */
type Settings<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Key<infer Value>
    ? Value
    : Settings<Table[Name]>
}

export type TableSettings = Settings<typeof table>

/** A key with its names: `output.ringBytes` in the file, `GUESTD_OUTPUT_RING_BYTES` in the environment. */
export interface NamedKey {
  readonly name: string
  readonly variable: string
  readonly key: Key<unknown>
}

/** The rows of the table, in its order. */
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
