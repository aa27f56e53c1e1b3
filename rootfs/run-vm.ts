/**
 * `make vm`: boots the microVM, shows how to use it from another terminal, and stays until Ctrl-C.
 * `CMD` runs that one command instead and passes its exit code on. Without a terminal on stdin a
 * short job shows that it works.
 */

import path from 'node:path'
import { execa } from 'execa'
import { startVm, type Vm } from './vm.ts'
import { VmError } from './vm-error.ts'

const GUESTCTL = path.join(path.dirname(import.meta.dirname), 'dist', 'guestctl.js')
/** As guestctl's own errors: nothing of the command's. */
const FAILED = 125
/** What a shell gives a program that Ctrl-C ended: 128 + SIGINT. */
const INTERRUPTED = 130

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Real work with exit codes that matter: a repository, a test that fails, its mending. */
const DEMO = `
set -e
uname -srm
git init --quiet demo && cd demo
git config user.name demo && git config user.email demo@localhost
echo 'module.exports = (a, b) => a - b' > add.js
echo "require('node:assert').equal(require('./add.js')(1, 2), 3); console.log('1 + 2 is 3')" > test.js
git add . && git commit --quiet --message 'Add numbers'
node test.js 2>/dev/null || echo "the test fails with exit code $?"
sed -i 's/a - b/a + b/' add.js
node test.js && echo "the test passes with exit code $?"
git commit --quiet --all --message 'Add, not subtract'
git log --oneline
`

process.exitCode = await main().catch(error => {
  console.error(error instanceof VmError ? error.message : error)
  return FAILED
})

async function main(): Promise<number> {
  // While it boots there is nothing to end in order: all of it goes with this process.
  const abandon = (): never => process.exit(INTERRUPTED)
  onSignals(abandon)
  const vm = await startVm({ onPhase: phase => console.error(`vm: ${phase}`) })
  offSignals(abandon)
  try {
    const { CMD } = process.env
    if (CMD !== undefined && CMD !== '') return await run(vm, CMD)
    if (!process.stdin.isTTY) return await run(vm, DEMO)
    return await stay(vm)
  } finally {
    await vm.stop()
  }
}

/** Runs a command through guestctl, whose ways with signals hold: the first is the command's. */
async function run(vm: Vm, command: string): Promise<number> {
  const args = [GUESTCTL, '--connect', vm.connect, 'run', '--', command]
  // In a session of its own, so that Ctrl-C reaches it once: from here.
  const guestctl = execa(process.execPath, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
    reject: false,
  })
  const forward = (signal: NodeJS.Signals): void => void guestctl.kill(signal)
  onSignals(forward)
  const { exitCode } = await guestctl
  offSignals(forward)
  return exitCode ?? FAILED
}

/** Until Ctrl-C. */
async function stay(vm: Vm): Promise<number> {
  console.error(usage(vm))
  const signalled = new Promise<null>(resolve => onSignals(() => resolve(null)))
  const how = await Promise.race([signalled, vm.exited])
  if (how === null) return 0
  throw new VmError(`the machine ended by itself: ${how}`, { console: await vm.console() })
}

function onSignals(listener: (signal: NodeJS.Signals) => void): void {
  for (const signal of SIGNALS) process.on(signal, listener)
}

function offSignals(listener: (signal: NodeJS.Signals) => void): void {
  for (const signal of SIGNALS) process.off(signal, listener)
}

function usage(vm: Vm): string {
  const guestctl = `node_modules/.bin/node dist/guestctl.js --connect ${vm.connect}`
  return `
guestd runs in the machine. From another terminal, in this folder:

  ${guestctl} run -- 'uname -a'
  ${guestctl} run -- 'for i in 1 2 3; do date; sleep 1; done'
  ${guestctl} status

Ctrl-C turns it off.`
}
