/** A machine at work on disks whose every write is logged: the workloads in it, and how far they are. */

import type { GuestdClient } from '../../src/client/index.ts'
import type { Vm } from '../../vm/vm.ts'
import type { Kind } from './content.ts'
import type { DiskFiles, DiskName } from './disks.ts'
import { NOTE_BYTES, type Note, readNotes } from './notes.ts'
import { openRecording } from './recording.ts'
import { ROUND_NOTES, WORKLOADS } from './workloads.ts'
import { WriteLogError } from './write-log.ts'

/** Where the worker is laid over the guest's root. */
export const WORKER = '/usr/lib/crash/worker.ts'
const DEVICES = '/run/crash'
const NODE = '/usr/lib/guestd/node'
/** The most that the test itself notes at, of the slots. */
const OWN_SLOT = 63
/** Of a round on a busy machine. */
const LIMIT_MS = 300_000
const POLL_MS = 200

/** A script that gives disks names, by their serial numbers, and lets every user write notes there. */
export const nameDisks = (disks: readonly DiskName[]): string => `
  mkdir -p ${DEVICES}
  for block in /sys/block/vd*; do
    serial=$(cat $block/serial)
    ln -s /dev/\${block##*/} ${DEVICES}/$serial
  done
  chmod 666 ${disks.map(name => `${DEVICES}/${name}`).join(' ')}`

export interface Guest {
  mount(disk: DiskName, options: string): Promise<void>
  start(disk: DiskName): Promise<void>
  /** Waits until each workload has noted so much more; of the workspace that of a round. */
  progress(disk: DiskName, notes?: number): Promise<void>
  kill(disk: DiskName): Promise<void>
  /** Notes on a disk. */
  notes(disk: DiskName): Promise<Notes>
}

export interface Notes {
  write(by: string, n: number): Promise<void>
  end(): Promise<void>
}

export function createGuest(
  client: GuestdClient,
  vm: Vm,
  disks: Readonly<Partial<Record<DiskName, DiskFiles>>>,
): Guest {
  const filesOf = (disk: DiskName): DiskFiles => {
    const files = disks[disk]
    if (files === undefined) throw new Error(`the machine has no disk ${disk}`)
    return files
  }
  const folderOf = (disk: DiskName) => (disk === 'resumed' ? '/mnt/workspace' : `/mnt/${disk}`)
  const device = (disk: DiskName) => `${DEVICES}/${disk}`
  const idOf = (disk: DiskName, name: string) => `${disk}.${name}`
  const argv = (disk: DiskName, kind: string, name: string, slot: number): string[] => {
    const offset = filesOf(disk).notesAt + slot * NOTE_BYTES
    return [NODE, WORKER, kind, name, folderOf(disk), device(disk), String(offset)]
  }
  /** By name. While the log is being written its last entries may not be whole. */
  const counts = async (disk: DiskName): Promise<ReadonlyMap<string, number>> => {
    const { before, log, notesAt } = filesOf(disk)
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

/** A moment before it is looked at again. @throws Error when the machine has ended */
export async function pause(vm: Vm): Promise<void> {
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

/** Runs a script as root to its end. @throws Error where it fails */
export async function asRoot(client: GuestdClient, command: string): Promise<void> {
  const ended = await client.run({ command, user: 'root', cwd: '/' }).collect()
  if (ended.exitCode !== 0) throw new Error(`${command}: ${ended.exitCode}: ${ended.stderr}`)
}
