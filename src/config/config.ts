/**
 * Reads the settings of guestd. Nothing else reads the environment, the command line and the settings file. The result is
 * frozen.
 */

import { messageOf } from '../util/message-of.ts'
import { ConfigError } from './config-error.ts'
import { isToken } from './keys.ts'
import { readManager } from './service-manager.ts'
import { type NamedKey, rows, type TableSettings, table } from './settings.ts'
import { helpText } from './settings-text.ts'
import {
  type Flags,
  type Found,
  type ReadFile,
  readEnvironment,
  readFlags,
  readSettingsFile,
} from './sources.ts'
import type { AddBad, BadSetting, Config } from './types.ts'

export { ConfigError } from './config-error.ts'

export interface ConfigSources {
  /** Without the interpreter and the script. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly readFile: ReadFile
  /** Reads a file with a secret. Throws if others may read or write it. */
  readonly readSecret: ReadFile
  /** Id of this process: inherited descriptors count only if LISTEN_PID is this id. */
  readonly pid: number
  /** Base of relative paths. */
  readonly cwd: string
}

export type Loaded =
  | { readonly action: 'run' | 'check'; readonly config: Config }
  | { readonly action: 'help'; readonly text: string }
  | { readonly action: 'version' }

/**
 * Reads the settings. For each key a flag takes precedence over the environment, the file and the default, in this order.
 *
 * The caller checks that there is an address to listen on: only a start needs one.
 *
 * @throws ConfigError with all unknown keys, bad values and unreadable sources
 */
export function loadConfig(sources: ConfigSources): Loaded {
  const bad: BadSetting[] = []
  const addBad: AddBad = (key, message) => bad.push({ key, message })
  const flags = readFlags(sources.argv, addBad)
  if (flags.action === 'help') return { action: 'help', text: helpText() }
  if (flags.action === 'version') return { action: 'version' }

  // If the flags cannot be read, the settings file is unknown.
  const found = bad.length > 0 ? new Map<string, Found>() : readSources(sources, flags, addBad)
  const settings = mapTable(table, '', row => {
    const one = found.get(row.name)
    return one === undefined ? row.key.fallback : readValue(row, one, sources.cwd, addBad)
  }) as TableSettings
  checkTogether(settings, addBad)
  const token = readToken(settings, sources.readSecret, addBad)
  const manager = readManager(sources.env, sources.pid, addBad)
  const config: Config = deepFreeze({ ...settings, ...manager, token })
  if (bad.length > 0) throw new ConfigError(bad, flags.action, config)
  return { action: flags.action, config }
}

/** The settings in force as the JSON text of a settings file, with its newline. */
export function renderSettings(config: Config): string {
  const settings = mapTable(table, '', row => {
    const value = row.name.split('.').reduce<unknown>(memberOf, config)
    return row.key.toJson(value)
  })
  return `${JSON.stringify(settings, null, 2)}\n`
}

/** Maps each row of the table. The result has the shape of the table. */
function mapTable(branch: object, prefix: string, map: (row: NamedKey) => unknown): object {
  const entries = Object.entries(branch).map(([part, entry]) => {
    const name = `${prefix}${part}`
    const row = rows.find(one => one.name === name)
    return [part, row === undefined ? mapTable(entry, `${name}.`, map) : map(row)]
  })
  return Object.fromEntries(entries)
}

function readSources(
  { env, readFile }: ConfigSources,
  flags: Flags,
  addBad: AddBad,
): Map<string, Found> {
  return new Map([
    ...readSettingsFile(flags.file, readFile, addBad),
    ...readEnvironment(env, addBad),
    ...flags.found,
  ])
}

/** Reports a bad value, and returns the default instead. */
function readValue(
  { name, key }: NamedKey,
  { value, from }: Found,
  cwd: string,
  addBad: AddBad,
): unknown {
  const read = key.read(value, cwd)
  if (typeof read !== 'string') return read.value
  const shown = key.hidden ? 'the value' : (JSON.stringify(value) ?? String(value))
  const reason = read === '' ? '' : `: ${read}`
  addBad(name, `${name}: ${shown} (from ${from}) is not allowed${reason}; it takes ${key.allowed}`)
  return key.fallback
}

function readToken(
  { authToken, authTokenFile }: TableSettings,
  readSecret: ReadFile,
  addBad: AddBad,
): string | null {
  if (authTokenFile === null) return authToken
  if (authToken !== null) {
    addBad('authTokenFile', 'authTokenFile: authToken is set too; give one of them')
    return authToken
  }
  try {
    const token = readSecret(authTokenFile).trim()
    if (isToken(token)) return token
    const { allowed } = table.authToken
    addBad('authTokenFile', `authTokenFile: ${authTokenFile} has no token; one is ${allowed}`)
  } catch (error) {
    addBad('authTokenFile', `authTokenFile: ${authTokenFile}: ${messageOf(error)}`)
  }
  return null
}

function checkTogether(settings: TableSettings, addBad: AddBad): void {
  const { output, onExpired, onVersionChange, requireSession } = settings
  const { authToken, authTokenFile, allowUnauthenticated } = settings
  const tcp = settings.listen.find(one => one.scheme === 'tcp')
  if (tcp !== undefined && authToken === null && authTokenFile === null && !allowUnauthenticated)
    addBad(
      'authToken',
      `authToken: ${tcp.uri} takes a token, as every process of the machine can connect. Set authToken or authTokenFile, or allowUnauthenticated: true`,
    )
  if (onExpired === 'reset' && !requireSession) {
    addBad(
      'onExpired',
      'onExpired: reset needs requireSession: true, because the session has to be known before the mount',
    )
  }
  if (onVersionChange === 'reset' && !requireSession) {
    addBad(
      'onVersionChange',
      'onVersionChange: reset needs requireSession: true, because the version has to be known before the mount',
    )
  }
  if (output.ringBytes > output.totalBytes) {
    addBad(
      'output.ringBytes',
      `output.ringBytes: ${output.ringBytes} is more than output.totalBytes, ${output.totalBytes}: one command cannot hold more than all`,
    )
  }
}

function memberOf(value: unknown, name: string): unknown {
  return (value as Record<string, unknown>)[name]
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) deepFreeze(part)
  }
  return value
}
