/** The texts about settings: `--help` and the table in the documents. */
import { type NamedKey, rows } from './settings.ts'
import { DEFAULT_FILE, keyFlags } from './sources.ts'

/** The output of `guestd --help`, with its newline. */
export function helpText(): string {
  const flags = [
    ['--config FILE', `Read settings from FILE. Default: ${DEFAULT_FILE}, which may be absent.`],
    ...keyFlags.map(({ flag, key, value, repeatable }) => [
      `--${flag} ${value}`,
      `Set ${key}.${repeatable ? ' May be given more than once.' : ''}`,
    ]),
    ['--check', 'Print the settings in force as JSON and exit: 0, or 2 when they are bad.'],
    ['--help', 'Print this and exit.'],
    ['--version', 'Print the version and exit.'],
  ]
  return `Usage: guestd [--config FILE] [--listen URI]... [--workspace PATH] [--user NAME]
              [--log-level LEVEL] [--check | --help | --version]

Runs commands in this guest for its host, over HTTP.

${flags.map(([flag, text]) => `  ${flag?.padEnd(20)} ${text}`).join('\n')}

Settings: flags go over the environment, over the file, over the defaults. A dot is an object in
the file: output.ringBytes is {"output": {"ringBytes": ...}}.

${rows.map(paragraph).join('\n\n')}
`
}

/** The table of `docs/settings.md`, with its newline. */
export function settingsMarkdown(): string {
  const lines = rows.map(
    row =>
      `| \`${row.name}\` | \`${row.variable}\` | ${row.key.type} | ${row.key.allowed} | ${inCode(defaultOf(row))} | ${row.key.sentence} |`,
  )
  return `| key | environment | type | takes | default | what it is |
|---|---|---|---|---|---|
${lines.join('\n')}
`
}

function paragraph(row: NamedKey): string {
  return `  ${row.name} (${row.variable})
      ${row.key.sentence}
      Type: ${row.key.type}; takes ${row.key.allowed}. Default: ${defaultOf(row)}`
}

function defaultOf({ key }: NamedKey): string {
  return JSON.stringify(key.toJson(key.fallback))
}

function inCode(text: string): string {
  return `\`${text}\``
}
