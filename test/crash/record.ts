/** A machine at work on disks whose every write is logged, up to the receipt of its stop. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Disk } from '../../rootfs/qemu-args.ts'
import { startVm, type Vm } from '../../rootfs/vm.ts'
import { createClient, type GuestdClient, type Receipt } from '../../src/client/index.ts'
import { type Kind, TREE } from './content.ts'
import { DISKS, type DiskFiles, type DiskName, makeDisk } from './disks.ts'
import { unmountAll } from './leftovers.ts'
import { NOTE_BYTES, type Note, readNotes } from './notes.ts'
import { openRecording } from './recording.ts'
import { WriteLogError } from './write-log.ts'

export interface Recorded {
  readonly disks: Readonly<Record<DiskName, DiskFiles>>
  /** guestd's, of the stop. */
  readonly receipt: Receipt | null
}

export const WORKLOADS: Readonly<Record<DiskName, Readonly<Record<string, Kind>>>> = {
  workspace: {
    'append-1': 'append',
    'append-2': 'append',
    'append-3': 'append',
    'fsync-1': 'fsync',
    'rename-1': 'rename',
    'git-1': 'git',
    'sqlite-1': 'sqlite',
    trees: 'trees',
  },
  'no-barriers': { 'fsync-1': 'fsync', 'sqlite-1': 'sqlite' },
  'only-syncfs': { 'append-1': 'append', 'append-2': 'append', 'append-3': 'append' },
}
/** Kinds that are durable when they are noted. */
export const AT_ONCE: ReadonlySet<Kind> = new Set(['fsync', 'rename', 'sqlite'])
/** Notes of the test: around a flush, with its number; and after the stop that only calls syncfs. */
export const [BEGIN, DONE, RECEIPT] = ['flush-begin', 'flush-done', 'receipt']
/** The most that the test itself notes at, of the slots. */
const OWN_SLOT = 63

const DEVICES = '/run/crash'
const WORKER = '/usr/lib/crash/worker.ts'
const NODE = '/usr/lib/guestd/node'
const MEMORY_MIB = 1536
/** Each has a flush in it, the first ones a tree. */
const ROUNDS = 6
const TREES = 2
/** In every round each workload does so much more before the flush. */
const ROUND_NOTES: Readonly<Partial<Record<Kind, number>>> = {
  append: 25,
  fsync: 25,
  rename: 10,
  git: 1,
  sqlite: 15,
}
const CONTROL_NOTES = 60
/** By their serial numbers, and for every user to write notes to. */
const NAME_DISKS = `
  mkdir -p ${DEVICES}
  for block in /sys/block/vd*; do
    serial=$(cat $block/serial)
    ln -s /dev/\${block##*/} ${DEVICES}/$serial
  done
  chmod 666 ${DISKS.map(name => `${DEVICES}/${name}`).join(' ')}`
/** Of a round on a busy machine. */
const LIMIT_MS = 300_000
const POLL_MS = 200

/** @param folder for all of it; what is there is removed. @throws Error when the machine fails */
export async function record(folder: string, onPhase: (phase: string) => void): Promise<Recorded> {
  unmountAll(folder)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const disks: Recorded['disks'] = {
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
  try {
    const receipt = await work(client, vm, disks, onPhase)
    const recorded = { disks, receipt }
    writeFileSync(join(folder, 'recorded.json'), JSON.stringify(recorded, null, 2))
    return recorded
  } finally {
    client.close()
    await vm.stop()
    for (const name of DISKS) rmSync(disks[name].disk, { force: true })
  }
}

async function work(
  client: GuestdClient,
  vm: Vm,
  disks: Recorded['disks'],
  onPhase: (phase: string) => void,
): Promise<Receipt | null> {
  const guest = createGuest(client, vm, disks)
  await asRoot(client, NAME_DISKS)
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
  }
  onPhase('stop')
  await say.end()
  for await (const frame of client.stop()) if (frame.type === 'receipt') return frame
  return null
}

interface Guest {
  mount(disk: DiskName, options: string): Promise<void>
  start(disk: DiskName): Promise<void>
  /** Waits until each workload has noted so much more; of the workspace that of a round. */
  progress(disk: DiskName, notes?: number): Promise<void>
  kill(disk: DiskName): Promise<void>
  /** Notes on a disk, in the name of anybody. */
  notes(disk: DiskName): Promise<Notes>
}

interface Notes {
  write(by: string, n: number): Promise<void>
  end(): Promise<void>
}

function createGuest(client: GuestdClient, vm: Vm, disks: Recorded['disks']): Guest {
  const folderOf = (disk: DiskName) => `/mnt/${disk}`
  const device = (disk: DiskName) => `${DEVICES}/${disk}`
  const idOf = (disk: DiskName, name: string) => `${disk}.${name}`
  const argv = (disk: DiskName, kind: string, name: string, slot: number): string[] => {
    const offset = disks[disk].notesAt + slot * NOTE_BYTES
    return [NODE, WORKER, kind, name, folderOf(disk), device(disk), String(offset)]
  }
  /** By name. While the log is being written its last entries may not be whole. */
  const counts = async (disk: DiskName): Promise<ReadonlyMap<string, number>> => {
    const { before, log, notesAt } = disks[disk]
    for (;;) {
      try {
        const recording = openRecording(before, log)
        try {
          return new Map(readNotes(recording, notesAt).map(({ by, n }: Note) => [by, n]))
        } finally {
          recording.close()
        }
      } catch (error) {
        if (!(error instanceof WriteLogError || error instanceof SyntaxError)) throw error
        await pause(vm)
      }
    }
  }
  return {
    async mount(disk, options) {
      const at = folderOf(disk)
      const mount = `mount -o ${options} ${device(disk)} ${at}`
      await asRoot(client, `mkdir -p ${at} && ${mount} && chmod 777 ${at}`)
    },
    async start(disk) {
      let slot = 0
      for (const [name, kind] of Object.entries(WORKLOADS[disk])) {
        if (kind === 'trees') continue
        await client.start({ id: idOf(disk, name), argv: argv(disk, kind, name, slot) })
        slot += 1
      }
    },
    async progress(disk, notes) {
      const before = await counts(disk)
      const lacking = async (): Promise<string[]> => {
        const now = await counts(disk)
        const isBehind = ([name, kind]: readonly [string, Kind]): boolean =>
          (now.get(name) ?? 0) < (before.get(name) ?? 0) + (notes ?? ROUND_NOTES[kind] ?? 0)
        return Object.entries(WORKLOADS[disk])
          .filter(isBehind)
          .map(([name]) => name)
      }
      const deadline = performance.now() + LIMIT_MS
      for (let left = await lacking(); left.length > 0; left = await lacking()) {
        for (const name of left) await failIfEnded(client, idOf(disk, name))
        if (performance.now() > deadline) throw new Error(`${left} on ${disk}: no progress`)
        await pause(vm)
      }
    },
    async kill(disk) {
      for (const name of Object.keys(WORKLOADS[disk])) await client.kill(idOf(disk, name))
    },
    async notes(disk) {
      const words = argv(disk, 'said', 'said', OWN_SLOT)
      const command = client.run({ argv: words, stdin: 'open', timeoutMs: 0, cwd: '/' })
      const frames = command[Symbol.asyncIterator]()
      let text = ''
      return {
        async write(by, n) {
          await command.stdin.write(`${by} ${n}\n`)
          while (!text.includes(`${by} ${n}\n`)) {
            const { value: frame, done } = await frames.next()
            if (done || frame.type === 'exit') throw new Error(`notes on ${disk} ended: ${text}`)
            if (frame.type === 'output') text += Buffer.from(frame.bytes).toString()
          }
        },
        async end() {
          await command.kill()
          while (!(await frames.next()).done);
        },
      }
    },
  }
}

/** @throws Error when the machine has ended */
async function pause(vm: Vm): Promise<void> {
  const ended = await Promise.race([
    new Promise<null>(resolve => setTimeout(resolve, POLL_MS, null)),
    vm.exited,
  ])
  if (ended !== null) throw new Error(`the machine ended: ${ended}`)
}

async function failIfEnded(client: GuestdClient, id: string): Promise<void> {
  if (id.endsWith('.trees')) return
  const { state } = await client.inspect(id)
  if (state === 'running') return
  const said: string[] = []
  for await (const frame of client.output(id))
    if (frame.type === 'output') said.push(Buffer.from(frame.bytes).toString())
  throw new Error(`${id} ended: ${said.join('')}`)
}

async function asRoot(client: GuestdClient, command: string): Promise<void> {
  const ended = await client.run({ command, user: 'root', cwd: '/' }).collect()
  if (ended.exitCode !== 0) throw new Error(`${command}: ${ended.exitCode}: ${ended.stderr}`)
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
