/** The kinds of settings: type, range, and how to read a value. */
import { isAbsolute, resolve } from 'node:path'
import { LISTEN_FORMS, type ListenAddress, parseListenUri } from '../util/listen-uri.ts'
import { messageOf } from '../util/message-of.ts'

/** A row of the table of settings. */
export interface Key<T> {
  /** Name of the type, for help and documents. */
  readonly type: string
  /** The allowed values, as the rest of a sentence that begins with "it takes". */
  readonly allowed: string
  readonly sentence: string
  readonly fallback: T
  /** Reads a value of the JSON file. A string is the reason why the value is refused. */
  readonly read: (value: unknown, cwd: string) => { readonly value: T } | string
  /** Converts the text of a flag or a variable to a value of the file. */
  readonly fromText: (text: string) => unknown
  /** Converts a setting back to a value of the file. */
  readonly toJson: (value: T) => unknown
  /** Whether errors leave the value out. */
  readonly hidden: boolean
}

/** A whole number. The sentence gives the unit and the meaning of 0. */
export function integer(fallback: number, min: number, max: number, sentence: string): Key<number> {
  return key({
    type: 'integer',
    allowed: `a whole number from ${min} to ${max}`,
    sentence,
    fallback,
    read: value =>
      Number.isInteger(value) && typeof value === 'number' && value >= min && value <= max
        ? { value }
        : '',
    fromText: numberOf,
  })
}

/** A number above 0 that may have a fraction. */
export function fraction(fallback: number, max: number, sentence: string): Key<number> {
  return key({
    type: 'number',
    allowed: `a number above 0, at most ${max}`,
    sentence,
    fallback,
    read: value => (typeof value === 'number' && value > 0 && value <= max ? { value } : ''),
    fromText: numberOf,
  })
}

export function boolean(fallback: boolean, sentence: string): Key<boolean> {
  return key({
    type: 'boolean',
    allowed: 'true or false',
    sentence,
    fallback,
    read: value => (typeof value === 'boolean' ? { value } : ''),
    fromText: text => (text === 'true' ? true : text === 'false' ? false : text),
  })
}

export function oneOf<T extends string>(
  fallback: NoInfer<T>,
  choices: readonly T[],
  sentence: string,
): Key<T> {
  return key({
    type: 'string',
    allowed: `one of ${choices.join(', ')}`,
    sentence,
    fallback,
    read: value => {
      const choice = choices.find(one => one === value)
      return choice === undefined ? '' : { value: choice }
    },
    fromText: text => text,
  })
}

/** A path; a relative one is resolved against the working directory of guestd. */
export function path(fallback: string, sentence: string): Key<string> {
  return key({
    type: 'path',
    allowed: 'a path',
    sentence,
    fallback,
    read: (value, cwd) =>
      typeof value === 'string' && value !== '' && !value.includes('\0')
        ? { value: isAbsolute(value) ? value : resolve(cwd, value) }
        : '',
    fromText: text => text,
  })
}

/** A path, or `LABEL=name` as in fstab(5). */
export function workspace(fallback: string, sentence: string): Key<string> {
  const inner = path(fallback, sentence)
  return {
    ...inner,
    allowed: 'a path, or LABEL= and the label of an ext4',
    read(value, cwd) {
      const tag = typeof value === 'string' ? /^([A-Z]+)=(.*)$/s.exec(value) : null
      if (tag === null) return inner.read(value, cwd)
      const [text, name, label = ''] = tag
      if (name !== 'LABEL') return `${name}= is not supported`
      if (label === '' || label.includes('\0')) return 'there is no label'
      const bytes = Buffer.byteLength(label)
      return bytes > MAX_LABEL_BYTES ? `the label has ${bytes} bytes` : { value: text }
    },
  }
}

/** The name or the uid of a user. */
export function userName(sentence: string): Key<string | number> {
  return key<string | number>({
    type: 'user',
    allowed: 'the name or the uid of a user',
    sentence,
    fallback: 0,
    read: value => {
      if (typeof value === 'string') return value !== '' && !value.includes('\0') ? { value } : ''
      return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_UID
        ? { value }
        : ''
    },
    fromText: numberOf,
  })
}

/** The name or the id of a group. */
export function groupName(sentence: string): Key<string | number> {
  return { ...userName(sentence), type: 'group', allowed: 'the name or the id of a group' }
}

/** A token of RFC 6750 for `Authorization: Bearer`. No error and no `--check` shows it. */
export function secret(sentence: string): Key<string> {
  return key({
    type: 'string',
    allowed: `${MIN_TOKEN_LENGTH} to ${MAX_TOKEN_LENGTH} letters, digits and - . _ ~ + / =`,
    sentence,
    fallback: '',
    read: value => (typeof value === 'string' && isToken(value) ? { value } : ''),
    fromText: text => text,
    // Too short for a token: the output of `--check` cannot become one by accident.
    toJson: () => '(hidden)',
    hidden: true,
  })
}

export function isToken(text: string): boolean {
  const { length } = text
  return length >= MIN_TOKEN_LENGTH && length <= MAX_TOKEN_LENGTH && /^[\w.~+/=-]+$/.test(text)
}

/** The permission bits of a file, in octal; its owner can always read and write it. */
export function fileMode(fallback: string, sentence: string): Key<string> {
  return key({
    type: 'string',
    allowed: 'the mode of a file in octal, from "0600" to "0666"',
    sentence,
    fallback,
    read: value => (typeof value === 'string' && /^0?6[0246]{2}$/.test(value) ? { value } : ''),
    fromText: text => text,
  })
}

/** Host names as in a Host header, without the port. */
export function hostNames(sentence: string): Key<readonly string[]> {
  return key<readonly string[]>({
    type: 'list of names',
    allowed: 'a list (with commas in the environment) of host names or addresses without a port',
    sentence,
    fallback: [],
    read: value =>
      Array.isArray(value) && value.every(isHostName)
        ? { value: value.map(one => one.toLowerCase()) }
        : '',
    fromText: text => (text === '' ? [] : text.split(',').map(one => one.trim())),
  })
}

function isHostName(value: unknown): value is string {
  return typeof value === 'string' && /^([\w.-]{1,253}|\[[\da-f:.]{2,45}\])$/i.test(value)
}

/** The same or null: `null` in the file, an empty text in the environment. */
export function optional<T>(inner: Key<T>): Key<T | null> {
  return {
    ...inner,
    allowed: `${inner.allowed}, or null`,
    fallback: null,
    read: (value, cwd) => (value === null ? { value } : inner.read(value, cwd)),
    fromText: text => (text === '' || text === 'null' ? null : inner.fromText(text)),
    toJson: value => (value === null ? null : inner.toJson(value)),
  }
}

/** Environment variables. Their values may be secret, so no error shows them. */
export function variables(
  fallback: Readonly<Record<string, string>>,
  sentence: string,
): Key<Readonly<Record<string, string>>> {
  return key({
    type: 'object of strings',
    allowed: 'an object (as JSON in the environment) of names without "=" and strings without NUL',
    sentence,
    fallback,
    read: value => (isVariables(value) ? { value } : ''),
    fromText: jsonOf,
    hidden: true,
  })
}

/** Addresses to listen on. */
export function addresses(sentence: string): Key<readonly ListenAddress[]> {
  return key<readonly ListenAddress[]>({
    type: 'list of addresses',
    allowed: `a list (with commas in the environment) of ${LISTEN_FORMS}`,
    sentence,
    fallback: [],
    read: value => {
      if (!Array.isArray(value)) return ''
      try {
        return { value: value.map(one => parseListenUri(String(one))) }
      } catch (error) {
        return messageOf(error)
      }
    },
    fromText: text => (text === '' ? [] : text.split(',').map(one => one.trim())),
    toJson: list => list.map(address => address.uri),
  })
}

/** 32 characters of base64 or hexadecimal have at least 128 bits. */
const MIN_TOKEN_LENGTH = 32
const MAX_TOKEN_LENGTH = 512

/** EXT4_LABEL_MAX, as e2label(8) has it. */
const MAX_LABEL_BYTES = 16

/** Highest uid: 2^32 - 1 means "no change" to setresuid(2). */
const MAX_UID = 2 ** 32 - 2

function key<T>(
  row: Omit<Key<T>, 'toJson' | 'hidden'> & Partial<Pick<Key<T>, 'toJson' | 'hidden'>>,
): Key<T> {
  return { toJson: value => value, hidden: false, ...row }
}

/** Converts a decimal number; any other text stays a text. */
function numberOf(text: string): unknown {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : text
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function isVariables(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.entries(value).every(
    ([name, text]) =>
      name !== '' && !/[=\0]/.test(name) && typeof text === 'string' && !text.includes('\0'),
  )
}
