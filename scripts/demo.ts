/**
 * What `make run` shows: guestd on a Unix socket with a fresh workspace, and a real job through
 * guestctl. Then it stays in the foreground where standard input is a terminal. With CMD in the
 * environment it runs that instead, and ends with its exit code.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '../src/client/index.ts'
import { lineOf, quote, type Step, steps, VERDICT } from './demo-steps.ts'

const checkout = join(import.meta.dirname, '..')
const dist = join(checkout, 'dist')

/** Far above any honest start. */
const START_LIMIT_MS = 20_000
const POLL_MS = 20
const JOB_FAILED = 1

/** Told without a stack: it is not this program that is wrong. */
class DemoError extends Error {}

interface Guest {
  readonly dir: string
  readonly connect: string
  readonly workspace: string
  readonly daemon: ChildProcess
}

async function main(): Promise<number> {
  // Ctrl-C reaches everything in the foreground: guestctl forwards it, and this waits for guestctl.
  const interrupted = once(process, 'SIGINT')
  process.on('SIGINT', () => {})
  // Who read the output has gone, as `head` does: guestctl meets the same, and ends its step with 141.
  process.stdout.on('error', () => {})
  const terminated = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGHUP')])
  const dir = mkdtempSync(join(tmpdir(), 'guestd-run-'))
  const guest = startGuest(dir)
  try {
    await untilReady(guest)
    const command = process.env.CMD
    if (command !== undefined && command !== '') {
      return await Promise.race([
        guestctl(guest, ['run', '--', command]),
        terminated.then(() => 143),
      ])
    }
    const isDone = await Promise.race([showJob(guest), terminated.then(() => false)])
    if (!isDone) return JOB_FAILED
    if (process.stdin.isTTY) await stay(guest, Promise.race([interrupted, terminated]))
    return 0
  } finally {
    await stop(guest)
    rmSync(dir, { recursive: true, force: true })
  }
}

/** In a session of its own, so that Ctrl-C does not reach it before its commands have ended. */
function startGuest(dir: string): Guest {
  const workspace = join(dir, 'workspace')
  const connect = `unix:${join(dir, 'guestd.sock')}`
  const settings = join(dir, 'config.json')
  mkdirSync(workspace)
  const runDir = join(dir, 'run')
  writeFileSync(settings, JSON.stringify({ listen: [connect], workspace, runDir }))
  const log = openSync(join(dir, 'guestd.log'), 'a')
  const daemon = spawn(process.execPath, [join(dist, 'guestd.js'), '--config', settings], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  return { dir, connect, workspace, daemon }
}

async function untilReady({ dir, connect, daemon }: Guest): Promise<void> {
  const client = createClient({ connect, reattachLimitMs: 0 })
  const deadline = performance.now() + START_LIMIT_MS
  for (;;) {
    const isReady = await client.health().then(
      health => health.ready,
      () => false,
    )
    if (isReady) break
    if (hasEnded(daemon) || performance.now() > deadline) {
      process.stderr.write(readFileSync(join(dir, 'guestd.log')))
      throw new DemoError('guestd did not start; above is its log')
    }
    await sleep(POLL_MS)
  }
  client.close()
}

/** @returns whether every step ended as it must */
async function showJob(guest: Guest): Promise<boolean> {
  say(`guestd serves ${guest.connect}, with the workspace ${guest.workspace}\n`)
  for (const step of steps) {
    const args = ['run', ...step.options, '--', step.script]
    say(`\n# ${step.title}\n$ ${lineOf(args)}\n`)
    const code = await guestctl(guest, args)
    say(`[exit code ${code}]\n`)
    if (code === step.exitCode) continue
    say(`\nThis step has to end with ${step.exitCode}: ${describe(step)}\n`)
    return false
  }
  say(`\n${VERDICT}\n`)
  return true
}

async function guestctl({ connect }: Guest, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [join(dist, 'guestctl.js'), ...args], {
    stdio: 'inherit',
    env: { ...process.env, GUESTCTL_CONNECT: connect },
  })
  const [code] = await once(child, 'exit')
  return typeof code === 'number' ? code : JOB_FAILED
}

async function stay({ connect, daemon }: Guest, left: Promise<unknown>): Promise<void> {
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
  guestctl kill counter; guestctl status; guestctl --help

Ctrl-C stops it, and removes the workspace.
`)
  await Promise.race([left, once(daemon, 'exit')])
  if (hasEnded(daemon)) {
    throw new DemoError(`guestd ended by itself, with ${daemon.signalCode ?? daemon.exitCode}`)
  }
}

async function stop({ daemon }: Guest): Promise<void> {
  if (hasEnded(daemon)) return
  const ended = once(daemon, 'exit')
  daemon.kill('SIGTERM')
  await ended
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
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
