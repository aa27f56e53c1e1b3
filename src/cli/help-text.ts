/** The texts of `--help`, made from the tables that parse the options. */

import type { CliCommand, OptionRow } from './command-spec.ts'
import { exitCodes } from './exit-code.ts'

/** Options of every command, before or after its name. */
export const commonOptions: readonly OptionRow[] = [
  {
    name: 'connect',
    value: 'URI',
    help: 'Address of guestd; default: GUESTCTL_CONNECT',
  },
  {
    name: 'wait',
    value: 'TIME',
    help: 'Wait this long for the guest to start, such as 60s; run, flush and status: to be ready',
  },
  {
    name: 'token-file',
    value: 'FILE',
    help: 'File with the token of guestd; default: GUESTCTL_TOKEN, then GUESTCTL_TOKEN_FILE',
  },
  { name: 'verbose', help: 'Report lost connections and processes that still run, on stderr' },
  { name: 'help', short: 'h', help: 'Print this help and exit' },
]

export const topOptions: readonly OptionRow[] = [
  ...commonOptions,
  { name: 'version', help: 'Print the version and exit' },
]

const ADDRESSES = `A URI is one of:
  unix:PATH                    a Unix socket of guestd
  firecracker:UDS_PATH:PORT    the Unix socket of a VM's vsock device (Firecracker, Cloud Hypervisor,
                               vhost-device-vsock); guestd's images use port 1023
  vsock:CID:PORT               AF_VSOCK of this host
  tcp:HOST:PORT                TCP`

const EXIT_CODES = `Exit codes:
  ${exitCodes.ok}      success; run, wait and output --follow: the exit code of the command, ${exitCodes.ok} to 255
  ${exitCodes.timeout}    run: the command's time limit passed
  ${exitCodes.ownError}    an error of guestctl or guestd: wrong usage, no connection, a refused request
  ${exitCodes.cannotExecute}    run: the command cannot be executed
  ${exitCodes.notFound}    run: the command was not found
  128+n  run: signal n ended the command; ${exitCodes.killed} also: out of memory, or killed
  ${exitCodes.outputClosed}    the reader of the output has closed it; run: the command gets SIGPIPE`

export function topHelp(commands: readonly CliCommand[]): string {
  const rows = commands.map(({ name, summary }) => [name, summary] as const)
  return `Usage: guestctl [--connect URI] COMMAND

Runs and manages commands in a guest.

Commands:
${columns(rows)}

Options:
${optionList(topOptions)}

${ADDRESSES}

${EXIT_CODES}

Run 'guestctl COMMAND --help' for the options of a command.
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
