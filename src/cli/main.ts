#!/usr/bin/env node

/** guestctl: the command line of hosts. */

import { guestctl } from './guestctl.ts'
import { createSink } from './sink.ts'

const code = await guestctl({
  argv: process.argv.slice(2),
  env: process.env,
  stdin: () => process.stdin,
  stdout: createSink(process.stdout),
  stderr: createSink(process.stderr),
})
// Connections that are kept, and a standard input that nobody ends, shall not keep this process.
process.exit(code)
