/**
 * `make run`: starts guestd with a new workspace and runs a demonstration through guestctl. As root it also fills,
 * stops and resumes a volume. In a terminal it then keeps running. With CMD it runs that instead and exits with its
 * code.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  DemoError,
  type Guest,
  hasEnded,
  startGuest,
  stopGuest,
  withoutVolumes,
} from './demo-guest.ts'
import {
  afterResume,
  beforeStop,
  LIFE_VERDICT,
  lineOf,
  quote,
  type Step,
  steps,
  VERDICT,
} from './demo-steps.ts'

const checkout = join(import.meta.dirname, '..')
const dist = join(checkout, 'dist')
const JOB_FAILED = 1
/** What a shell gives a program that SIGTERM ended: 128 + 15. */
const TERMINATED = 143

async function main(): Promise<number> {
  // Ctrl-C reaches everything in the foreground: guestctl forwards it, and this waits for guestctl.
  const interrupted = once(process, 'SIGINT')
  process.on('SIGINT', () => {})
  // The reader has closed the output, as `head` does. guestctl gets the same error and exits with 141.
  process.stdout.on('error', () => {})
  const terminated = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGHUP')])
  const dir = mkdtempSync(join(tmpdir(), 'guestd-run-'))
  const why = withoutVolumes()
  const volume = why === null ? join(dir, 'volume.img') : null
  let guest: Guest | null = null
  try {
    const command = process.env.CMD
    const isShown = command === undefined || command === ''
    if (volume !== null && !(await makeVolume(volume, isShown))) return JOB_FAILED
    guest = await startGuest(dir, volume)
    if (!isShown) {
      const run = guestctl(guest.connect, ['run', '--', command])
      return await Promise.race([run, terminated.then(() => TERMINATED)])
    }
    say(`guestd serves ${guest.connect}, with the workspace ${guest.workspace}\n`)
    if (why !== null) say(`The workspace is a plain folder: ${why}.\n`)
    const show = async (steps: readonly Step[]) =>
      guest !== null &&
      (await Promise.race([showSteps(guest, steps), terminated.then(() => false)]))
    if (!(await show(steps))) return JOB_FAILED
    say(`\n${VERDICT}\n`)
    if (volume !== null) {
      if (!(await show(beforeStop))) return JOB_FAILED
      await stopGuest(guest)
      say('\n# guestd has ended, as its machine would. A new one starts with the same volume\n')
      guest = await startGuest(dir, volume)
      if (!(await show(afterResume))) return JOB_FAILED
      say(`\n${LIFE_VERDICT}\n`)
    }
    if (process.stdin.isTTY) await stay(guest, Promise.race([interrupted, terminated]))
    return 0
  } finally {
    if (guest !== null) await stopGuest(guest)
    rmSync(dir, { recursive: true, force: true })
  }
}

/** @returns whether guestctl has made it; if not, it has said why */
async function makeVolume(file: string, isShown: boolean): Promise<boolean> {
  const args = ['volume', 'create', file]
  if (isShown) say(`# Make a workspace volume\n$ ${lineOf(args)}\n`)
  const code = await guestctl('', args, isShown ? 'inherit' : 'ignore')
  if (isShown) say('\n')
  return code === 0
}

/** @returns whether every step ended as it must */
async function showSteps(guest: Guest, steps: readonly Step[]): Promise<boolean> {
  for (const step of steps) {
    const args = step.args ?? ['run', ...step.options, '--', step.script]
    say(`\n# ${step.title}\n$ ${lineOf(args)}\n`)
    const code = await guestctl(guest.connect, args)
    say(`[exit code ${code}]\n`)
    if (code === step.exitCode) continue
    say(`\nThis step has to end with ${step.exitCode}: ${describe(step)}\n`)
    return false
  }
  return true
}

async function guestctl(
  connect: string,
  args: readonly string[],
  stdout: 'inherit' | 'ignore' = 'inherit',
): Promise<number> {
  const child = spawn(process.execPath, [join(dist, 'guestctl.js'), ...args], {
    stdio: ['inherit', stdout, 'inherit'],
    env: { ...process.env, GUESTCTL_CONNECT: connect },
  })
  const [code] = await once(child, 'exit')
  return typeof code === 'number' ? code : JOB_FAILED
}

async function stay(guest: Guest, left: Promise<unknown>): Promise<void> {
  const { connect, daemon } = guest
  // `timeout` is no shell: it does not know the alias.
  const guestctlLine = `${process.execPath} ${join(dist, 'guestctl.js')}`
  say(`
guestd goes on. In another terminal:

  export GUESTCTL_CONNECT=${connect}
  alias guestctl='${guestctlLine}'
  guestctl run -- 'for i in 1 2 3; do echo $i; sleep 1; done; exit 7'; echo "exit code $?"
  guestctl run -C slug -- git log --oneline
  tar c -C ${quote(checkout)} README.md | guestctl run -i -- 'tar x && ls -l'
  guestctl run --detach --id counter -- 'while :; do date; sleep 1; done'
  guestctl ps; timeout 5 ${guestctlLine} output --follow counter
  guestctl kill counter; guestctl status --largest; guestctl flush; guestctl --help

Ctrl-C stops it, and removes the workspace.
`)
  await Promise.race([left, once(daemon, 'exit')])
  if (hasEnded(guest)) {
    throw new DemoError(`guestd ended by itself, with ${daemon.signalCode ?? daemon.exitCode}`)
  }
}

function describe({ title, script }: Step): string {
  return `"${title}", ${JSON.stringify(script)}`
}

function say(text: string): void {
  process.stdout.write(text)
}

process.exit(
  await main().catch(error => {
    console.error(error instanceof DemoError ? `demo: ${error.message}` : error)
    return JOB_FAILED
  }),
)
