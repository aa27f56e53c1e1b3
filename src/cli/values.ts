/** Parses values of the command line: durations, sizes, numbers, signals, variables. */

import { constants } from 'node:os'
import { UsageError } from './command-spec.ts'
import { ownVariable } from './raw-text.ts'

const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** `500ms`, `30s`, `1m30s`, `1.5h`; a plain number is in seconds, as in timeout(1). Returns milliseconds. */
export function parseDuration(option: string, text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1_000)
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) {
    throw new UsageError(`${option}: '${text}' is not a duration such as 30s, 5m or 500ms`)
  }
  let total = 0
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(number) * (MS_PER_UNIT[unit ?? ''] ?? 0)
  }
  return Math.round(total)
}

const POWERS = 'kmgt'

/** `512MiB`, `1G`, `64k`, `1024`: letters are powers of 1,024, as in docker. Returns bytes. */
export function parseSize(option: string, text: string): number {
  const [, number, letter] = /^(\d+(?:\.\d+)?)(?:([kmgt])?(?:i?b)?)$/i.exec(text) ?? []
  const power = letter === undefined ? 0 : POWERS.indexOf(letter.toLowerCase()) + 1
  const bytes = Math.round(Number(number) * 1024 ** power)
  if (number === undefined || !Number.isSafeInteger(bytes)) {
    throw new UsageError(`${option}: '${text}' is not a size such as 512MiB, 1G or 65536`)
  }
  return bytes
}

export function parseCount(option: string, text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value
  throw new UsageError(`${option}: '${text}' is not a whole number`)
}

export function parseNumber(option: string, text: string): number {
  if (/^(\d+(\.\d*)?|\.\d+)$/.test(text)) return Number(text)
  throw new UsageError(`${option}: '${text}' is not a number`)
}

export function parseChoice<T extends string>(
  option: string,
  text: string,
  choices: readonly T[],
): T {
  const choice = choices.find(one => one === text)
  if (choice !== undefined) return choice
  throw new UsageError(`${option}: '${text}' is not ${choices.join(' or ')}`)
}

/** First and last real-time signal that glibc leaves to programs (signal(7)). */
const FIRST_REALTIME = 34
const LAST_REALTIME = 64

/** `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+1`: the name with its `SIG`. */
export function parseSignal(option: string, text: string): string {
  const name = /^\d+$/.test(text) ? signalName(Number(text)) : text.toUpperCase()
  const full = name.startsWith('SIG') ? name : `SIG${name}`
  if (signalNumber(full) !== null) return full
  throw new UsageError(`${option}: '${text}' is not a signal such as TERM, SIGINT or 9`)
}

function signalName(number: number): string {
  if (number >= FIRST_REALTIME) return `SIGRTMIN+${number - FIRST_REALTIME}`
  const found = Object.entries(constants.signals).find(([, value]) => value === number)
  return found?.[0] ?? String(number)
}

/** The number of a signal, or null for an unknown name. */
export function signalNumber(name: string): number | null {
  const realtime = /^SIGRTMIN(?:\+(\d{1,2}))?$/.exec(name)
  if (realtime !== null) {
    const number = FIRST_REALTIME + Number(realtime[1] ?? 0)
    return number <= LAST_REALTIME ? number : null
  }
  const numbers: Readonly<Record<string, number>> = constants.signals
  return numbers[name] ?? null
}

/** `NAME=value`. `NAME` alone takes the value of this process, and is left out if it has none. */
export function parseEnv(
  texts: readonly string[],
  own: NodeJS.ProcessEnv,
): Readonly<Record<string, string>> {
  // A map, because a variable can be named `__proto__`.
  const env = new Map<string, string>()
  for (const text of texts) {
    const equals = text.indexOf('=')
    if (text === '' || equals === 0) {
      throw new UsageError(`--env: '${text}' is not NAME=value`)
    }
    const name = equals < 0 ? text : text.slice(0, equals)
    const value = equals < 0 ? ownVariable(own, name) : text.slice(equals + 1)
    if (value !== undefined) env.set(name, value)
  }
  return Object.fromEntries(env)
}
