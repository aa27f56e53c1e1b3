/** Parses command lines by tables of options. */

import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { type Arguments, type OptionRow, UsageError } from './command-spec.ts'

export interface ParseOptions {
  readonly rows: readonly OptionRow[]
  /** The first operand ends the options, as `--` does. */
  readonly stopsAtOperand: boolean
}

/** @throws UsageError for an unknown option, a missing value, or a value that the option does not take */
export function parseArguments(
  args: readonly string[],
  { rows, stopsAtOperand }: ParseOptions,
): Arguments {
  const options = configOf(rows)
  const words = wordsOf(rows)
  const cut = stopsAtOperand ? operandsBegin(args, options) : args.length
  const { values, positionals } = parseStrictly(asSwitches(args.slice(0, cut), words), options)
  const given = new Map(Object.entries(values).map(([name, value]) => [name, [value].flat()]))
  for (const [name, word] of words) if (given.has(switchOf(name, word))) given.set(name, [word])
  const texts = (name: string) => (given.get(name) ?? []).filter(value => typeof value === 'string')
  return {
    operands: [...positionals, ...args.slice(cut)],
    has: name => given.has(name),
    value: name => texts(name).at(-1),
    values: texts,
  }
}

/** The parser takes every option as multiple. The last of several counts. */
function configOf(rows: readonly OptionRow[]): ParseArgsOptionsConfig {
  return Object.fromEntries(
    rows.flatMap(({ name, short, value, word }) => {
      const type = value === undefined ? 'boolean' : 'string'
      const option = { type, multiple: true, ...(short === undefined ? {} : { short }) } as const
      const more =
        word === undefined ? [] : [[switchOf(name, word), { type, multiple: true }] as const]
      return [[name, option] as const, ...more]
    }),
  )
}

/** The switches that accept a word. */
function wordsOf(rows: readonly OptionRow[]): ReadonlyMap<string, string> {
  return new Map(rows.flatMap(({ name, word }) => (word === undefined ? [] : [[name, word]])))
}

/** The parser has no optional values, so a switch with its word is another switch to it. */
function switchOf(name: string, word: string): string {
  return `${name}.${word}`
}

/** @throws UsageError for another word */
function asSwitches(args: readonly string[], words: ReadonlyMap<string, string>): string[] {
  const end = args.indexOf('--')
  return args.map((arg, index) => {
    const [, name = '', given] = /^--([^=]+)=(.*)$/s.exec(arg) ?? []
    const word = words.get(name)
    if (word === undefined || (end >= 0 && index > end)) return arg
    if (given === word) return `--${switchOf(name, word)}`
    throw new UsageError(`--${name} takes no value but '${word}'`)
  })
}

/** The index of the first operand. A `--` before it belongs to the options. */
function operandsBegin(args: readonly string[], options: ParseArgsOptionsConfig): number {
  const lenient = { args: [...args], options, strict: false, allowPositionals: true, tokens: true }
  const first = parseArgs({ ...lenient, tokens: true }).tokens.find(
    token => token.kind !== 'option',
  )
  if (first === undefined) return args.length
  return first.kind === 'option-terminator' ? first.index + 1 : first.index
}

function parseStrictly(args: string[], options: ParseArgsOptionsConfig) {
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: true })
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new UsageError(firstSentence(error.message))
  }
}

/** The parser adds advice after the first sentence, which does not apply here. */
function firstSentence(message: string): string {
  const sentence = message.split(/\. |\n/)[0] ?? message
  return sentence.charAt(0).toLowerCase() + sentence.slice(1).replace(/\.$/, '')
}
