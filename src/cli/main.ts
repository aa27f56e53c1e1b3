/** guestctl: the command line for hosts. */

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
    // Node reads a directory as an empty input.
    if (fstatSync(0).isDirectory()) throw new Error('EISDIR: it is a directory')
    return process.stdin
  },
  stdout: createSink(process.stdout),
  stderr: createSink(process.stderr),
})
// Idle connections and an open standard input would keep this process alive.
process.exit(code)
