/** The texts of `--help`, made from the tables that parse. */

import type { CliCommand, OptionRow } from './command-spec.ts'
import { exitCodes } from './exit-code.ts'

/** Options that every command takes, before its name or after it. */
export const commonOptions: readonly OptionRow[] = [
  {
    name: 'connect',
    value: 'URI',
    help: 'Where guestd is; default: GUESTCTL_CONNECT',
  },
  {
    name: 'wait',
    value: 'TIME',
    help: 'Wait this long for a guest that starts: 60s; run, flush and status until it is ready',
  },
  {
    name: 'token-file',
    value: 'FILE',
    help: 'File with the token of guestd; default: GUESTCTL_TOKEN, else GUESTCTL_TOKEN_FILE',
  },
  { name: 'verbose', help: 'Tell of lost connections and of what lives on, on stderr' },
  { name: 'help', short: 'h', help: 'Print this and exit' },
]

export const topOptions: readonly OptionRow[] = [
  ...commonOptions,
  { name: 'version', help: 'Print the version and exit' },
]

const ADDRESSES = `A URI is one of:
  unix:PATH                    a Unix socket of guestd's own
  firecracker:UDS_PATH:PORT    the Unix socket of a VM's vsock device, as Firecracker, Cloud
                               Hypervisor and vhost-device-vsock have it; guestd's port in an image is 1023
  vsock:CID:PORT               AF_VSOCK of this host
  tcp:HOST:PORT                TCP`

const EXIT_CODES = `Exit codes:
  ${exitCodes.ok}      done; of run, wait and output --follow: the command's own code, ${exitCodes.ok} to 255
  ${exitCodes.timeout}    run: the command's time limit passed
  ${exitCodes.ownError}    an error of guestctl or guestd: wrong usage, no connection, a refusal
  ${exitCodes.cannotExecute}    run: the command cannot be executed
  ${exitCodes.notFound}    run: the command was not found
  128+n  run: signal n ended the command; ${exitCodes.killed} also: out of memory, or killed
  ${exitCodes.outputClosed}    who read the output has gone; of run: the command gets SIGPIPE`

export function topHelp(commands: readonly CliCommand[]): string {
  const rows = commands.map(({ name, summary }) => [name, summary] as const)
  return `Usage: guestctl [--connect URI] COMMAND

Runs commands in a guest, and looks after them.

Commands:
${columns(rows)}

Options:
${optionList(topOptions)}

${ADDRESSES}

${EXIT_CODES}

'guestctl COMMAND --help' tells more of a command.
`
}

export function commandHelp(command: CliCommand): string {
  const usage = ['guestctl', command.name, '[OPTIONS]', command.operands]
  const details = command.details === '' ? '' : `\n${command.details}\n`
  return `Usage: ${usage.filter(word => word !== '').join(' ')}

${command.summary}.

Options:
${optionList([...command.options, ...commonOptions])}
${details}`
}

function optionList(rows: readonly OptionRow[]): string {
  return columns(
    rows.map(({ name, short, value, multiple, word, help }) => {
      const more = word === undefined ? '' : `[=${word}]`
      const flag = `${short === undefined ? '    ' : `-${short}, `}--${name}${more}`
      const many = multiple === undefined ? '' : '; may be given again'
      return [value === undefined ? flag : `${flag} ${value}`, `${help}${many}`] as const
    }),
  )
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')
}
