/** A machine at work on disks whose every write is logged, up to the receipt of its stop. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient, type GuestdClient, type Receipt } from '../../src/client/index.ts'
import type { Disk } from '../../vm/qemu-args.ts'
import { startVm, type Vm } from '../../vm/vm.ts'
import { TREE } from './content.ts'
import { DISKS, type DiskFiles, type DiskName, makeDisk } from './disks.ts'
import { unmountAll } from './leftovers.ts'
import { asRoot, createGuest, nameDisks, WORKER } from './machine.ts'
import { type Resumed, recordResumed } from './resumed.ts'
import { BEGIN, DONE, RECEIPT } from './workloads.ts'

export interface Recorded {
  readonly disks: Readonly<Record<DiskName, DiskFiles>>
  /** guestd's, of the stop. */
  readonly receipt: Receipt | null
  readonly resumed: Resumed
}

const MEMORY_MIB = 1536
/** Each has a flush in it, the first ones a tree. */
const ROUNDS = 6
const TREES = 2
const CONTROL_NOTES = 60

/** @param folder for all of it; what is there is removed. @throws Error when the machine fails */
export async function record(folder: string, onPhase: (phase: string) => void): Promise<Recorded> {
  unmountAll(folder)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const disks = {
    workspace: await makeDisk(folder, 'workspace'),
    'no-barriers': await makeDisk(folder, 'no-barriers'),
    'only-syncfs': await makeDisk(folder, 'only-syncfs'),
  }
  const vm = await startVm({
    volume: null,
    memoryMiB: MEMORY_MIB,
    extraDisks: DISKS.map(
      (serial): Disk => ({ file: disks[serial].disk, log: disks[serial].log, serial, mode: 'rw' }),
    ),
    overlay: { [WORKER]: readFileSync(join(import.meta.dirname, 'guest/worker.ts'), 'utf8') },
    onPhase,
  })
  const client = createClient({ connect: vm.connect, reattachLimitMs: 0 })
  let receipt: Receipt | null = null
  try {
    receipt = await work(client, vm, disks, onPhase)
  } finally {
    client.close()
    await vm.stop()
    for (const name of DISKS) rmSync(disks[name].disk, { force: true })
  }
  const { files, ...resumed } = await recordResumed(folder, disks.workspace, onPhase)
  const recorded = { disks: { ...disks, resumed: files }, receipt, resumed }
  writeFileSync(join(folder, 'recorded.json'), JSON.stringify(recorded, null, 2))
  return recorded
}

async function work(
  client: GuestdClient,
  vm: Vm,
  disks: Readonly<Record<(typeof DISKS)[number], DiskFiles>>,
  onPhase: (phase: string) => void,
): Promise<Receipt | null> {
  const guest = createGuest(client, vm, disks)
  await asRoot(client, nameDisks(DISKS))
  onPhase('controls')
  await guest.mount('no-barriers', 'barrier=0')
  await guest.start('no-barriers')
  await guest.progress('no-barriers', CONTROL_NOTES)
  await guest.kill('no-barriers')

  await guest.mount('only-syncfs', 'barrier=1')
  const stopper = await guest.notes('only-syncfs')
  await guest.start('only-syncfs')
  await guest.progress('only-syncfs', CONTROL_NOTES)
  await asRoot(client, 'sync -f /mnt/only-syncfs')
  await stopper.write(RECEIPT, 1)
  await stopper.end()
  await guest.kill('only-syncfs')

  const say = await guest.notes('workspace')
  await guest.start('workspace')
  for (let round = 1; round <= ROUNDS; round++) {
    onPhase(`round ${round}`)
    if (round <= TREES) {
      await unpackTree(client, `tree-${round}`)
      await say.write('trees', round)
    }
    await guest.progress('workspace')
    await say.write(BEGIN, round)
    const { clean } = await client.flush()
    if (!clean) throw new Error('the flush was not clean')
    await say.write(DONE, round)
    // While the workloads go on.
    await asRoot(client, 'fstrim /mnt/workspace')
  }
  onPhase('stop')
  await say.end()
  return await client.stop()
}

async function unpackTree(client: GuestdClient, name: string): Promise<void> {
  const tar = execFileSync('tar', ['-c', '-C', TREE, '.'], { maxBuffer: 256 * 1024 * 1024 })
  const command = client.run({ command: `mkdir ${name} && tar -x -C ${name}`, stdin: 'open' })
  const ended = command.collect()
  await command.stdin.write(tar)
  await command.stdin.end()
  const { exitCode, stderr } = await ended
  if (exitCode !== 0) throw new Error(`tar: ${exitCode}: ${stderr}`)
}
