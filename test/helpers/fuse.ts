/** A FUSE that never answers: each call that asks it waits until it is unmounted. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

interface Test {
  teardown(undo: () => unknown): void
}

/** A process that has it open, without having asked it anything. */
export async function holdFuse(t: Test, at: string): Promise<void> {
  const script =
    'import os, sys, time; os.open(sys.argv[1], os.O_PATH); print("held", flush=True); time.sleep(600)'
  const child = spawn('python3', ['-c', script, at], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
}

/** Mounts it at a folder; gone with the test. */
export async function mountDeafFuse(t: Test, at: string): Promise<void> {
  const child = spawn('python3', [join(import.meta.dirname, 'fuse.py'), at], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  t.teardown(async () => {
    // The connection ends with its last descriptor, and all who wait get an error.
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    spawnSync('umount', ['-l', at])
  })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    complaint += text
  })
  const [text] = await Promise.race([once(child.stdout, 'data'), once(child, 'close')])
  if (String(text).trim() !== 'mounted') throw new Error(`no FUSE could be mounted: ${complaint}`)
}
