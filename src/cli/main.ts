/** guestctl: the command line of hosts. */

import { fstatSync } from 'node:fs'
import { forwarded } from './forward-signals.ts'
import { guestctl } from './guestctl.ts'
import { ignoredSignals } from './ignored-signals.ts'
import { createSink } from './sink.ts'

const ignored = ignoredSignals(forwarded, process.env)
for (const signal of ignored) process.on(signal, () => {})

const code = await guestctl({
  argv: process.argv.slice(2),
  ignored,
  env: process.env,
  stdin: () => {
    // Node would take it for an empty input.
    if (fstatSync(0).isDirectory()) throw new Error('EISDIR: it is a directory')
    return process.stdin
  },
  stdout: createSink(process.stdout),
  stderr: createSink(process.stderr),
})
// Connections that are kept, and a standard input that nobody ends, shall not keep this process.
process.exit(code)
