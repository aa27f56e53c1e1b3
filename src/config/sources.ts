/** The sources of settings: flags, environment and file. Each gives raw values by key. */
import { parseArgs } from 'node:util'
import { errorCode } from '../util/error-code.ts'
import { messageOf } from '../util/message-of.ts'
import { type NamedKey, rows } from './settings.ts'
import type { AddBad } from './types.ts'

/** The file that is read without `--config`; it may be absent. */
export const DEFAULT_FILE = '/etc/guestd/config.json'

/** A raw value and its source, for messages such as "… (from FILE)". */
export interface Found {
  readonly value: unknown
  readonly from: string
}

export interface Flags {
  readonly action: 'run' | 'check' | 'help' | 'version'
  readonly file: string | null
  readonly found: ReadonlyMap<string, Found>
}

/** The flags that set a key. `--config`, `--check`, `--help` and `--version` set none. */
export const keyFlags = [
  { flag: 'listen', key: 'listen', value: 'URI', repeatable: true },
  { flag: 'workspace', key: 'workspace', value: 'PATH', repeatable: false },
  { flag: 'user', key: 'user', value: 'NAME', repeatable: false },
  { flag: 'log-level', key: 'logLevel', value: 'LEVEL', repeatable: false },
] as const

/** If one flag is invalid, none of them counts. */
export function readFlags(argv: readonly string[], addBad: AddBad): Flags {
  const values = parseFlags(argv, addBad)
  const found = new Map<string, Found>()
  for (const { flag, key } of keyFlags) {
    const value = values[flag]
    if (value === undefined) continue
    const row = rowOf(key)
    // The flag of a list is given once for each entry.
    const raw = Array.isArray(value) ? value : row.key.fromText(value)
    found.set(key, { value: raw, from: `--${flag}` })
  }
  const action = values.help ? 'help' : values.version ? 'version' : values.check ? 'check' : 'run'
  return { action, file: values.config ?? null, found }
}

/** Reads the variables `GUESTD_…`. */
export function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  addBad: AddBad,
): ReadonlyMap<string, Found> {
  const found = new Map<string, Found>()
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith('GUESTD_') || text === undefined) continue
    const row = rows.find(one => one.variable === variable)
    if (row === undefined)
      addBad(
        variable,
        `${variable} in the environment is no setting of guestd; guestd --help lists them`,
      )
    else found.set(row.name, { value: row.key.fromText(text), from: variable })
  }
  return found
}

/**
 * Reads a file by its path.
 *
 * @throws an error with the code `ENOENT` if there is none
 */
export type ReadFile = (path: string) => string

/** The file has to be a JSON object of known keys. A file that `--config` names has to exist. */
export function readSettingsFile(
  named: string | null,
  readFile: ReadFile,
  addBad: AddBad,
): ReadonlyMap<string, Found> {
  const path = named ?? DEFAULT_FILE
  const text = readText(path, named !== null, readFile, addBad)
  const branch = text === null ? null : parseObject(text, path, addBad)
  const found = new Map<string, Found>()
  if (branch !== null) collect(branch, '', path, found, addBad)
  return found
}

/** @throws Error for a name that is not in the table: a fault of guestd */
function rowOf(name: string): NamedKey {
  const row = rows.find(one => one.name === name)
  if (row === undefined) throw new Error(`${name} is not in the table of settings`)
  return row
}

function parseFlags(argv: readonly string[], addBad: AddBad) {
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: false,
      options: {
        config: { type: 'string' },
        listen: { type: 'string', multiple: true },
        workspace: { type: 'string' },
        user: { type: 'string' },
        'log-level': { type: 'string' },
        check: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    // The first sentence is the reason. The rest is advice about "--", which guestd does not use.
    const reason = messageOf(error).replace(/\. .*/s, '')
    addBad(null, `${reason}; guestd --help lists the flags`)
    return { check: argv.includes('--check') }
  }
}

function readText(
  path: string,
  required: boolean,
  readFile: ReadFile,
  addBad: AddBad,
): string | null {
  try {
    return readFile(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT' && !required) return null
    const reason = messageOf(error)
    addBad(null, `${path} cannot be read: ${reason}`)
    return null
  }
}

function parseObject(text: string, path: string, addBad: AddBad): object | null {
  try {
    const parsed: unknown = JSON.parse(text)
    if (isObject(parsed)) return parsed
    addBad(null, `${path} is not a JSON object`)
  } catch (error) {
    addBad(null, `${path} is not JSON: ${messageOf(error)}`)
  }
  return null
}

function collect(
  branch: object,
  prefix: string,
  path: string,
  found: Map<string, Found>,
  addBad: AddBad,
): void {
  for (const [part, value] of Object.entries(branch)) {
    const name = `${prefix}${part}`
    if (part.includes('.')) {
      addBad(name, `${name} (from ${path}) has a dot: write it as an object in the file`)
    } else if (rows.some(row => row.name === name)) {
      found.set(name, { value, from: path })
    } else if (rows.some(row => row.name.startsWith(`${name}.`))) {
      if (isObject(value)) collect(value, `${name}.`, path, found, addBad)
      else addBad(name, `${name} (from ${path}) takes an object`)
    } else {
      addBad(name, `${name} (from ${path}) is no setting of guestd; guestd --help lists them`)
    }
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
