/** The guestd of `make run`: on a Unix socket, its workspace a real volume where that can be had. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '../src/client/index.ts'

const dist = join(import.meta.dirname, '../dist')

/** Far above any normal start. */
const START_LIMIT_MS = 20_000
const POLL_MS = 20

/** Printed without a stack, because the fault is not in this program. */
export class DemoError extends Error {}

export interface Guest {
  readonly dir: string
  readonly connect: string
  /** The folder that commands work in. */
  readonly workspace: string
  readonly daemon: ChildProcess
}

/** Why a volume cannot be mounted here; `null` if it can. */
export function withoutVolumes(): string | null {
  if (process.getuid?.() !== 0) return 'to mount a volume takes root'
  if (!existsSync('/dev/loop-control')) return 'this machine has no loop devices'
  return null
}

/**
 * Starts guestd, and returns when it is ready.
 * @param volume the image file with the workspace; `null`: a plain folder
 * @throws DemoError
 */
export async function startGuest(dir: string, volume: string | null): Promise<Guest> {
  const workspace = join(dir, 'workspace')
  const connect = `unix:${join(dir, 'guestd.sock')}`
  const settings = join(dir, 'config.json')
  const runDir = join(dir, 'run')
  mkdirSync(workspace, { recursive: true })
  // As a new machine has it: what is there counts for one boot.
  rmSync(runDir, { recursive: true, force: true })
  const place = volume === null ? { workspace } : { workspace: volume, workspaceMount: workspace }
  writeFileSync(settings, JSON.stringify({ listen: [connect], runDir, ...place }))
  const log = openSync(join(dir, 'guestd.log'), 'a')
  // In a session of its own, so that Ctrl-C does not reach it before its commands have ended.
  const daemon = spawn(
    process.execPath,
    ['--disable-sigusr1', join(dist, 'guestd.js'), '--config', settings],
    {
      detached: true,
      stdio: ['ignore', log, log],
    },
  )
  closeSync(log)
  const guest = { dir, connect, workspace, daemon }
  await untilReady(guest)
  return guest
}

async function untilReady(guest: Guest): Promise<void> {
  const client = createClient({ connect: guest.connect, reattachLimitMs: 0 })
  const deadline = performance.now() + START_LIMIT_MS
  for (;;) {
    const isReady = await client.health().then(
      health => health.ready,
      () => false,
    )
    if (isReady) break
    if (hasEnded(guest) || performance.now() > deadline) {
      process.stderr.write(readFileSync(join(guest.dir, 'guestd.log')))
      await stopGuest(guest)
      throw new DemoError('guestd did not start; above is its log')
    }
    await sleep(POLL_MS)
  }
  client.close()
}

/** Ends it in order, and waits. */
export async function stopGuest(guest: Guest): Promise<void> {
  if (hasEnded(guest)) return
  const ended = once(guest.daemon, 'exit')
  guest.daemon.kill('SIGTERM')
  await ended
}

export function hasEnded({ daemon }: Guest): boolean {
  return daemon.exitCode !== null || daemon.signalCode !== null
}
