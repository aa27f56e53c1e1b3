/**
 * `make vm`: boots the microVM and runs the demonstration of `make run` in it. In a terminal it then prints commands to
 * try in a second terminal, and keeps running until Ctrl-C. With CMD in the environment it runs that instead, and exits
 * with its exit code. `vm-settings.ts` has the other variables.
 */

import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { execa } from 'execa'
import { ensureImage } from '../rootfs/image.ts'
import { VmError } from '../rootfs/vm-error.ts'
import { lineOf, steps, VERDICT } from '../scripts/demo-steps.ts'
import { createClient } from '../src/client/index.ts'
import { messageOf } from '../src/util/message-of.ts'
import { describePhases, measureBoot } from './boot-phases.ts'
import { startVm, type Vm } from './vm.ts'
import { readVmSettings } from './vm-settings.ts'

const REPOSITORY = path.dirname(import.meta.dirname)
const GUESTCTL = path.join(REPOSITORY, 'dist', 'guestctl.js')
/** Stays when the machine is gone. */
const CONSOLE = path.join(REPOSITORY, 'build', 'vm', 'console.log')
/** The exit code of guestctl's own errors. */
const FAILED = 125
/** What a shell gives a program that Ctrl-C ended: 128 + SIGINT. */
const INTERRUPTED = 130
/** A step of the job did not end as it must. */
const JOB_FAILED = 1

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

process.exitCode = await main().catch(error => {
  console.error(error instanceof VmError ? error.message : error)
  return FAILED
})

async function main(): Promise<number> {
  // While booting there is nothing to stop: everything ends with this process.
  const abandon = (): never => process.exit(INTERRUPTED)
  onSignals(abandon)
  const onPhase = (phase: string): void => console.error(`vm: ${phase}`)
  const settings = await readVmSettings(process.env)
  const image = await ensureImage({ ...settings.image, onPhase })
  await mkdir(path.dirname(CONSOLE), { recursive: true })
  onPhase(`the console goes to ${path.relative(process.cwd(), CONSOLE)}`)
  const vm = await startVm({ ...settings.machine, image, console: CONSOLE, onPhase })
  offSignals(abandon)
  try {
    onPhase(describePhases(await measureBoot(vm.connect)))
    const { CMD } = process.env
    if (CMD !== undefined && CMD !== '') return await run(vm, ['--', CMD])
    if (!(await showJob(vm))) return JOB_FAILED
    if (process.stdin.isTTY) await stay(vm)
    return 0
  } finally {
    await stopInOrder(vm)
    await vm.stop()
  }
}

/** Stops the session as a host does that keeps the workspace; a signal meanwhile cuts the power. */
async function stopInOrder(vm: Vm): Promise<void> {
  const client = createClient({ connect: vm.connect, reattachLimitMs: 0 })
  const abandoned = new Promise<null>(resolve => onSignals(() => resolve(null)))
  try {
    const stopped = (async () => {
      for await (const frame of client.stop()) if (frame.type === 'receipt') return frame.clean
      return false
    })()
    const clean = await Promise.race([stopped, abandoned, vm.exited.then(() => null)])
    console.error(`vm: the workspace was ${clean ? '' : 'not '}left clean`)
  } catch (error) {
    console.error(`vm: not stopped in order: ${messageOf(error)}`)
  } finally {
    client.close()
  }
}

/** Whether every step ended as it must. */
async function showJob(vm: Vm): Promise<boolean> {
  for (const { title, options, script, exitCode } of steps) {
    const words = [...options, '--', script]
    console.log(`\n# ${title}\n$ ${lineOf(['run', ...words])}`)
    const code = await run(vm, words)
    console.log(`[exit code ${code}]`)
    if (code === exitCode) continue
    console.error(`this step has to end with ${exitCode}`)
    return false
  }
  console.log(`\n${VERDICT}`)
  return true
}

/** Runs a command through guestctl, which forwards the first signal to the command. */
async function run(vm: Vm, words: readonly string[]): Promise<number> {
  const args = [GUESTCTL, '--connect', vm.connect, 'run', ...words]
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
async function stay(vm: Vm): Promise<void> {
  console.error(usage(vm))
  const signalled = new Promise<null>(resolve => onSignals(() => resolve(null)))
  const how = await Promise.race([signalled, vm.exited])
  if (how === null) return
  throw new VmError(`the machine ended by itself: ${how}`, { console: await vm.console() })
}

function onSignals(listener: (signal: NodeJS.Signals) => void): void {
  for (const signal of SIGNALS) process.on(signal, listener)
}

function offSignals(listener: (signal: NodeJS.Signals) => void): void {
  for (const signal of SIGNALS) process.off(signal, listener)
}

function usage({ connect }: Vm): string {
  return `
The machine goes on. In another terminal:

  export GUESTCTL_CONNECT=${connect}
  alias guestctl='${process.execPath} ${GUESTCTL}'
  guestctl run -- 'uname -a; cat /etc/os-release'
  guestctl run -C slug -- git log --oneline
  guestctl run -u root -- 'systemctl status guestd'
  guestctl status

Ctrl-C turns it off. What was written in it is gone then, unless it is on a VOLUME.
`
}
