import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  ConfigError,
  type ConfigSources,
  loadConfig,
  renderSettings,
} from '../../../src/config/config.ts'

const ABSENT = Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' })

interface Given {
  readonly argv?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Files by their paths. */
  readonly files?: Readonly<Record<string, string | object>>
  readonly pid?: number
  /** Files that others may not read, by their paths. */
  readonly secrets?: Readonly<Record<string, string>>
}

function sources({ argv = [], env = {}, files = {}, pid = 7, secrets = {} }: Given): ConfigSources {
  const readFile = (path: string) => {
    const file = files[path]
    if (file === undefined) throw ABSENT
    return typeof file === 'string' ? file : JSON.stringify(file)
  }
  const readSecret = (path: string) => {
    const secret = secrets[path]
    if (secret === undefined) throw ABSENT
    return secret
  }
  return { argv, env, readFile, readSecret, pid, cwd: '/home/me' }
}

function load(given: Given) {
  const loaded = loadConfig(sources(given))
  if (!('config' in loaded)) throw new Error(`no settings but ${loaded.action}`)
  return loaded.config
}

/** The error that these sources give. */
function refusal(given: Given): ConfigError {
  try {
    loadConfig(sources(given))
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

t.test('with nothing given the defaults hold, and there is nothing to listen on', async t => {
  const config = load({})
  t.same(config.listen, [])
  t.same(config.inheritedFds, [])
  t.equal(config.workspace, '/mnt/workspace')
  t.equal(config.user, null)
  t.equal(config.killGraceMs, 5_000)
  t.equal(config.reattachGraceMs, 30_000)
  t.equal(config.timeoutMs, 300_000)
  t.equal(config.maxCommands, 256)
  t.equal(config.output.ringBytes, 16 * 1024 * 1024)
  t.equal(config.output.totalBytes, 128 * 1024 * 1024)
  t.same(config.limits, { memoryBytes: null, pids: null, cpus: null, nofile: null })
  t.same(config.env, { LANG: 'C.UTF-8' })
})

t.test('flags go over the environment, over the file, over the defaults, key by key', async t => {
  const files = {
    '/etc/guestd/config.json': {
      workspace: '/from/file',
      logLevel: 'warn',
      user: 'file',
      output: { keepMs: 1 },
    },
  }
  const env = { GUESTD_LOG_LEVEL: 'error', GUESTD_USER: 'env' }
  const config = load({ argv: ['--user', 'flag'], env, files })
  t.equal(config.user, 'flag')
  t.equal(config.logLevel, 'error')
  t.equal(config.workspace, '/from/file')
  t.equal(config.output.keepMs, 1)
  t.equal(config.output.keepCommands, 1_000)
})

t.test('the flags of a list replace what is elsewhere, and add up among themselves', async t => {
  const argv = ['--listen', 'unix:/a', '--listen=vsock:1023']
  const config = load({ argv, env: { GUESTD_LISTEN: 'unix:/b' } })
  t.same(
    config.listen.map(one => one.uri),
    ['unix:/a', 'vsock:1023'],
  )
  t.same(
    load({ env: { GUESTD_LISTEN: 'unix:/b, vsock:80' } }).listen.map(one => one.uri),
    ['unix:/b', 'vsock:80'],
  )
})

t.test('each type is read from the text of the environment', async t => {
  const config = load({
    env: {
      GUESTD_REATTACH_GRACE_MS: '7',
      GUESTD_LOG_COMMANDS: 'true',
      GUESTD_OUTPUT_RING_BYTES: '4096',
      GUESTD_LIMITS_CPUS: '1.5',
      GUESTD_LIMITS_PIDS: 'null',
      GUESTD_USER: '1000',
      GUESTD_ENV: '{"A":"b"}',
      UNRELATED: 'x',
    },
  })
  t.equal(config.reattachGraceMs, 7)
  t.equal(config.logCommands, true)
  t.equal(config.output.ringBytes, 4096)
  t.equal(config.limits.cpus, 1.5)
  t.equal(config.limits.pids, null)
  t.equal(config.user, 1000)
  t.same(config.env, { A: 'b' })
})

t.test('relative paths begin at the working directory', async t => {
  t.equal(load({ argv: ['--workspace', 'ws'] }).workspace, '/home/me/ws')
})

t.test('a workspace is a path or the label of a volume', async t => {
  const read = (workspace: string) => load({ argv: ['--workspace', workspace] }).workspace
  t.equal(read('LABEL=guestd-workspace'), 'LABEL=guestd-workspace')
  t.equal(read('/dev/vdb'), '/dev/vdb')
  t.equal(read('label=x'), '/home/me/label=x')
  const bad: readonly [text: string, says: RegExp][] = [
    ['UUID=1234', /UUID= is not supported/],
    ['LABEL=', /there is no label/],
    ['LABEL=a-label-too-long-x', /the label has 18 bytes/],
  ]
  for (const [text, says] of bad) t.throws(() => read(text), { message: says })
})

t.test('a bad value names the key, where it came from and what is allowed', async t => {
  const cases: readonly [Given, string, RegExp][] = [
    [
      { env: { GUESTD_KILL_GRACE_MS: '-1' } },
      'killGraceMs',
      /"-1" \(from GUESTD_KILL_GRACE_MS\) is not allowed; it takes a whole number from 0 to 600000/,
    ],
    [{ env: { GUESTD_MAX_COMMANDS: '1.5' } }, 'maxCommands', /1\.5 \(from GUESTD_MAX_COMMANDS\)/],
    [{ env: { GUESTD_MAX_COMMANDS: '' } }, 'maxCommands', /""/],
    [{ env: { GUESTD_LOG_COMMANDS: 'yes' } }, 'logCommands', /true or false/],
    [{ argv: ['--log-level', 'loud'] }, 'logLevel', /"loud" \(from --log-level\).*one of fatal/],
    [{ argv: ['--listen', 'tcp:0.0.0.0:80'] }, 'listen', /loopback.*vsock:PORT/],
    [
      { argv: ['--config', '/c'], files: { '/c': { limits: { pids: 0 } } } },
      'limits.pids',
      /0 \(from \/c\).*, or null/,
    ],
    [
      { argv: ['--config', '/c'], files: { '/c': { killGraceMs: '5' } } },
      'killGraceMs',
      /"5" \(from \/c\)/,
    ],
    [{ argv: ['--config', '/c'], files: { '/c': { output: 5 } } }, 'output', /takes an object/],
    [
      { argv: ['--config', '/c'], files: { '/c': { 'limits.pids': 5, limits: { pids: 6 } } } },
      'limits.pids',
      /has a dot: write it as an object/,
    ],
    [{ argv: ['--config', '/c'], files: { '/c': { listen: 'unix:/a' } } }, 'listen', /a list/],
    [
      { env: { GUESTD_OUTPUT_TOTAL_BYTES: '4096' } },
      'output.ringBytes',
      /more than output\.totalBytes/,
    ],
    [{ env: { GUESTD_ON_EXPIRED: 'reset' } }, 'onExpired', /reset needs requireSession: true/],
    [
      { env: { GUESTD_ON_VERSION_CHANGE: 'reset' } },
      'onVersionChange',
      /reset needs requireSession: true/,
    ],
  ]
  for (const [given, key, message] of cases) {
    const error = refusal(given)
    t.equal(error.bad[0]?.key, key)
    t.match(error.message, new RegExp(`^${key.replace('.', '\\.')}`))
    t.match(error.message, message)
    t.equal(error.exitCode, 2)
  }
})

t.test('an unknown key is refused wherever it is', async t => {
  t.match(refusal({ env: { GUESTD_NOPE: '1' } }).message, /^GUESTD_NOPE in the environment/)
  const inFile = (file: object) => refusal({ argv: ['--config', '/c'], files: { '/c': file } })
  t.match(inFile({ nope: 1 }).message, /^nope \(from \/c\)/)
  t.match(inFile({ output: { nope: 1 } }).message, /^output\.nope \(from \/c\)/)
  t.match(inFile(JSON.parse('{"__proto__":{"user":"x"}}')).message, /^__proto__/)
  t.match(refusal({ argv: ['--nope'] }).message, /^Unknown option '--nope'/)
  t.match(refusal({ argv: ['extra'] }).message, /^Unexpected argument 'extra'/)
  t.match(refusal({ argv: ['--user'] }).message, /--user/)
})

t.test('the default file may be absent, a named one may not', async t => {
  t.equal(load({}).logLevel, 'info')
  t.match(refusal({ argv: ['--config', '/nope'] }).message, /^\/nope cannot be read/)
  t.match(refusal({ argv: ['--config', '/c'], files: { '/c': '{' } }).message, /^\/c is not JSON: /)
  t.match(refusal({ argv: ['--config', '/c'], files: { '/c': '[]' } }).message, /not a JSON object/)
  const unreadable = { ...sources({}), readFile: () => readFileSync('/proc/self/mem', 'utf8') }
  t.throws(() => loadConfig(unreadable), /config\.json cannot be read/)
})

t.test('values of the base environment are never in an error', async t => {
  for (const text of [
    '{"TOKEN":"hunter2","A=B":""}',
    'hunter2',
    '["hunter2"]',
    '{"A":1,"B":"hunter2"}',
  ])
    t.notMatch(refusal({ env: { GUESTD_ENV: text } }).message, /hunter2/)
})

t.test('descriptors count only for the process that they were handed to', async t => {
  t.same(load({ env: { LISTEN_FDS: '2', LISTEN_PID: '7' } }).inheritedFds, [3, 4])
  t.same(load({ env: { LISTEN_FDS: '2', LISTEN_PID: '8' } }).inheritedFds, [])
  t.same(load({ env: { LISTEN_FDS: '2' } }).inheritedFds, [])
  t.match(refusal({ env: { LISTEN_FDS: 'x', LISTEN_PID: '7' } }).message, /^LISTEN_FDS/)
})

t.test('stored descriptors differ from sockets by their name', async t => {
  const env = { LISTEN_FDS: '3', LISTEN_PID: '7', LISTEN_FDNAMES: 'guestd.socket:workspace:' }
  const config = load({ env })
  t.same(config.inheritedFds, [3, 5])
  t.same(config.storedFds, { workspace: 4 })
})

t.test('the watchdog counts only for the process that it was set for', async t => {
  const watchdogMs = (env: Record<string, string>) => load({ env }).watchdogMs
  t.equal(watchdogMs({ WATCHDOG_USEC: '30000000' }), 30_000)
  t.equal(watchdogMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }), 30_000)
  t.equal(watchdogMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }), null)
  for (const none of ['', '0', '-1', 'soon']) t.equal(watchdogMs({ WATCHDOG_USEC: none }), null)
  t.equal(watchdogMs({}), null)
})

t.test('what is returned is frozen, to its last leaf', async t => {
  const config = load({ argv: ['--listen', 'unix:/a'] })
  for (const one of [config, config.output, config.limits, config.env, config.listen])
    t.ok(Object.isFrozen(one))
  t.ok(Object.isFrozen(config.listen[0]))
})

t.test('the settings in force are printed as a settings file that gives them again', async t => {
  const config = load({
    argv: ['--listen', 'unix:/a', '--listen', 'tcp:[::1]:0', '--user', '1000'],
    env: {
      GUESTD_ALLOW_UNAUTHENTICATED: 'true',
      GUESTD_LIMITS_CPUS: '0.5',
      GUESTD_ENV: '{"A":"b"}',
      GUESTD_OUTPUT_KEEP_MS: '3',
    },
  })
  const text = renderSettings(config)
  t.same(load({ argv: ['--config', '/c'], files: { '/c': text } }), config)
  t.equal(JSON.parse(text).output.keepMs, 3)
})

t.test('help and version are given whatever the other sources hold', async t => {
  const env = { GUESTD_NOPE: '1' }
  t.equal(loadConfig(sources({ argv: ['--version'], env })).action, 'version')
  const help = loadConfig(sources({ argv: ['--help'], env }))
  t.match(help, { action: 'help', text: /^Usage: guestd/ })
  t.equal(loadConfig(sources({ argv: ['--check'] })).action, 'check')
})

const TOKEN = '0123456789abcdef0123456789abcdef'

t.test('the token comes from a setting or from a file, and is shown nowhere', async t => {
  t.equal(load({}).token, null)
  const config = load({ env: { GUESTD_AUTH_TOKEN: TOKEN } })
  t.equal(config.token, TOKEN)
  t.notOk(renderSettings(config).includes(TOKEN))
  const secrets = { '/run/token': `${TOKEN}\n` }
  const fromFile = load({ env: { GUESTD_AUTH_TOKEN_FILE: '/run/token' }, secrets })
  t.equal(fromFile.token, TOKEN)
  t.notOk(renderSettings(fromFile).includes(TOKEN))
})

t.test(
  'a token that is bad, missing or given twice is refused, and is not in the message',
  async t => {
    const secrets = { '/run/token': TOKEN, '/run/short': TOKEN.slice(1) }
    const cases: readonly [Record<string, string>, string, RegExp][] = [
      [{ GUESTD_AUTH_TOKEN: TOKEN.slice(1) }, 'authToken', /32 to 512/],
      [{ GUESTD_AUTH_TOKEN: `${TOKEN} x` }, 'authToken', /32 to 512/],
      [{ GUESTD_AUTH_TOKEN_FILE: '/run/short' }, 'authTokenFile', /no token.*32 to 512/],
      [{ GUESTD_AUTH_TOKEN_FILE: '/run/none' }, 'authTokenFile', /ENOENT/],
      [
        { GUESTD_AUTH_TOKEN: TOKEN, GUESTD_AUTH_TOKEN_FILE: '/run/token' },
        'authTokenFile',
        /give one of them/,
      ],
    ]
    for (const [env, key, message] of cases) {
      const { bad } = refusal({ env, secrets })
      t.same(
        bad.map(one => one.key),
        [key],
      )
      t.match(bad[0]?.message, message)
      t.notOk(bad[0]?.message.includes(TOKEN.slice(1)))
    }
  },
)

t.test('a TCP listener takes a token or the word that it needs none', async t => {
  const listen = { GUESTD_LISTEN: 'unix:/a,tcp:127.0.0.1:80' }
  const { bad } = refusal({ env: listen })
  t.same(
    bad.map(one => one.key),
    ['authToken'],
  )
  t.match(bad[0]?.message, /tcp:127\.0\.0\.1:80 .*authTokenFile.*allowUnauthenticated/)
  t.equal(load({ env: { ...listen, GUESTD_AUTH_TOKEN: TOKEN } }).token, TOKEN)
  t.equal(load({ env: { ...listen, GUESTD_ALLOW_UNAUTHENTICATED: 'true' } }).token, null)
})

t.test('the mode of a socket, its group and the hosts of TCP are read', async t => {
  const config = load({
    env: {
      GUESTD_UNIX_MODE: '660',
      GUESTD_UNIX_GROUP: 'agents',
      GUESTD_TCP_HOSTS: 'Guest,[FD00::1]',
    },
  })
  t.equal(config.unixMode, '660')
  t.equal(config.unixGroup, 'agents')
  t.same(config.tcpHosts, ['guest', '[fd00::1]'])
  for (const mode of ['0777', '0060', '0', '0800', 'rw']) {
    t.equal(refusal({ env: { GUESTD_UNIX_MODE: mode } }).bad[0]?.key, 'unixMode', mode)
  }
  t.equal(refusal({ env: { GUESTD_TCP_HOSTS: 'a:80' } }).bad[0]?.key, 'tcpHosts')
})
