/** The options of a run request. */

import type { RunRequest } from '../client/index.ts'
import { type Arguments, type OptionRow, UsageError } from './command-spec.ts'
import { limitOptions, readLimits } from './limit-options.ts'
import { parseChoice, parseDuration, parseEnv } from './values.ts'

export const requestOptions: readonly OptionRow[] = [
  {
    name: 'env',
    short: 'e',
    value: 'NAME=VALUE',
    multiple: true,
    help: 'Set a variable; NAME alone takes the value that guestctl has',
  },
  {
    name: 'cwd',
    short: 'C',
    value: 'DIR',
    help: "Working directory; default: the workspace, root's home for root",
  },
  { name: 'user', short: 'u', value: 'USER', help: 'Name or uid to run as' },
  {
    name: 'timeout',
    value: 'TIME',
    help: 'Time limit: 30s, 5m, 500ms; a plain number is in seconds; 0: none. Default: 5m, with --detach none',
  },
  { name: 'merge', help: 'Send stderr to stdout, in the order in which both are written' },
  {
    name: 'id',
    value: 'ID',
    help: 'Id of the command; with the same options and command it attaches, and never runs twice',
  },
  ...limitOptions,
  {
    name: 'allow-over-cap',
    help: 'Also run in a workspace that is past its cap, to make room',
  },
  {
    name: 'background',
    value: 'keep|kill',
    help: 'What happens to processes that outlive the command; default: keep',
  },
  {
    name: 'on-disconnect',
    value: 'keep|kill',
    help: 'What happens to the command when guestctl is gone; default: keep',
  },
]

/** @throws UsageError */
export function readRequest(args: Arguments, env: NodeJS.ProcessEnv): RunRequest {
  const [first, ...rest] = args.operands
  if (first === undefined || first === '') throw new UsageError('there is no command to run')
  const given = <T>(name: string, read: (option: string, text: string) => T): T | undefined => {
    const text = args.value(name)
    return text === undefined ? undefined : read(`--${name}`, text)
  }
  const program = rest.length === 0 ? { command: first } : { argv: [first, ...rest] }
  const fields = withoutUnset({
    id: args.value('id'),
    cwd: args.value('cwd'),
    env: args.has('env') ? parseEnv(args.values('env'), env) : undefined,
    user: given('user', (_, text) => (/^\d+$/.test(text) ? Number(text) : text)),
    timeoutMs: given('timeout', parseDuration),
    stderr: args.has('merge') ? ('stdout' as const) : undefined,
    limits: readLimits(args),
    allowOverCap: args.has('allow-over-cap') || undefined,
    background: given('background', (option, text) => parseChoice(option, text, keepOrKill)),
    onDisconnect: given('on-disconnect', (option, text) => parseChoice(option, text, keepOrKill)),
  })
  return { ...fields, ...program }
}

const keepOrKill = ['keep', 'kill'] as const

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

function withoutUnset<T extends object>(fields: T): Defined<T> {
  const set = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(set) as Defined<T>
}
