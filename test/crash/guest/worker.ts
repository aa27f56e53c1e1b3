/**
 * A workload in the guest: node worker.ts KIND NAME FOLDER DEVICE OFFSET. It runs until it is killed, and
 * notes what it has done in its slot at OFFSET of DEVICE, past the page cache, so that notes lie among
 * the disk's other writes in their order. Needs nothing but Node.
 */
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'

const [kind = '', name = '', folder = '', device = '', offset = ''] = process.argv.slice(2)
const NOTE_BYTES = 512
/** Of what buffers of memory are aligned to at least. */
const ALIGNMENT = 16
/** A record is a line of this length, so that a file of them is checked without being parsed. */
const RECORD_BYTES = 64
/** Between records of one writer: the log stays small. */
const PAUSE_MS = 10
/** SQLite carries its log over into the database this often, in pages: many times in a test. */
const CHECKPOINT_PAGES = 20
const ROW_BYTES = 700

const note = openNotes()
const workloads: Record<string, () => Promise<void>> = {
  append: () => append(false),
  fsync: () => append(true),
  rename,
  names,
  git,
  sqlite,
  said,
}
await workloads[kind]?.()

/** @returns notes what is done, with more to say of it */
function openNotes(): (n: number, more?: object) => void {
  const fd = openSync(device, constants.O_WRONLY | constants.O_DIRECT)
  const memory = Buffer.alloc(3 * NOTE_BYTES)
  let slot: Buffer | null = null
  const put = (bytes: Buffer) => {
    if (writeSync(fd, bytes, 0, NOTE_BYTES, Number(offset)) !== NOTE_BYTES)
      throw new Error('the note was written in part')
  }
  return (n, more = {}) => {
    const text = `${JSON.stringify({ by: name, n, ...more })}\n`
    if (slot === null) {
      slot = aligned(memory, text, put)
      return
    }
    slot.fill(0)
    slot.write(text)
    put(slot)
  }
}

/** O_DIRECT takes aligned memory only (open(2)), and Node does not expose addresses, so it is tried. */
function aligned(memory: Buffer, text: string, put: (bytes: Buffer) => void): Buffer {
  for (let at = 0; at < NOTE_BYTES; at += ALIGNMENT) {
    const slot = memory.subarray(at, at + NOTE_BYTES)
    slot.fill(0)
    slot.write(text)
    try {
      put(slot)
      return slot
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EINVAL')) throw error
    }
  }
  throw new Error('no alignment is right')
}

/** Records one after the other into a file, each durable before its note, or never. */
async function append(durable: boolean): Promise<void> {
  const fd = openSync(join(folder, name), 'a')
  for (let n = 1; ; n++) {
    writeSync(fd, record(n))
    if (durable) fsyncSync(fd)
    note(n)
    await setTimeout(PAUSE_MS)
  }
}

/** A file replaced as it should be: written aside, fsync, rename, fsync of the folder. */
async function rename(): Promise<void> {
  const at = join(folder, name)
  mkdirSync(at)
  for (let n = 1; ; n++) {
    const fd = openSync(join(at, 'new'), 'w')
    writeSync(fd, record(n))
    fsyncSync(fd)
    closeSync(fd)
    renameSync(join(at, 'new'), join(at, 'file'))
    for (const path of n === 1 ? [at, folder] : [at]) {
      const parent = openSync(path, 'r')
      fsyncSync(parent)
      closeSync(parent)
    }
    note(n)
    await setTimeout(PAUSE_MS)
  }
}

/** A folder that is `lost+found` at times, and at others has a link there; each step of it is durable. */
async function names(): Promise<void> {
  const hidden = join(folder, `.${name}`)
  const shown = join(folder, 'lost+found')
  const parent = openSync(folder, 'r')
  mkdirSync(hidden)
  for (let n = 1; ; n++) {
    const fd = openSync(join(hidden, 'new'), 'w')
    writeSync(fd, record(n))
    fsyncSync(fd)
    closeSync(fd)
    renameSync(join(hidden, 'new'), join(hidden, 'file'))
    const at = openSync(hidden, 'r')
    fsyncSync(at)
    closeSync(at)
    fsyncSync(parent)
    note(n)
    renameSync(hidden, shown)
    fsyncSync(parent)
    renameSync(shown, hidden)
    symlinkSync('lost+found', shown)
    fsyncSync(parent)
    await setTimeout(PAUSE_MS)
    rmSync(shown)
  }
}

function record(n: number): string {
  return `${`${name} ${n} `.padEnd(RECORD_BYTES - 1, '.')}\n`
}

/** Commits with the settings of the image. */
async function git(): Promise<void> {
  const at = join(folder, name)
  mkdirSync(at)
  const run = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: at })
  run('init', '-q')
  for (let n = 1; ; n++) {
    mkdirSync(join(at, `folder-${n % 7}`), { recursive: true })
    writeFileSync(join(at, `folder-${n % 7}`, `file-${n}`), record(n).repeat(n % 200))
    run('add', '.')
    run('commit', '-q', '-m', `commit ${n}`)
    note(n, { hash: run('rev-parse', 'HEAD').toString().trim() })
  }
}

/** Commits of a database in WAL mode that are durable one by one. */
async function sqlite(): Promise<void> {
  const { DatabaseSync } = await import('node:sqlite')
  const database = new DatabaseSync(join(folder, name))
  database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL')
  database.exec(`PRAGMA wal_autocheckpoint=${CHECKPOINT_PAGES}`)
  database.exec('CREATE TABLE records (n INTEGER PRIMARY KEY, text TEXT)')
  const insert = database.prepare('INSERT INTO records VALUES (?, ?)')
  for (let n = 1; ; n++) {
    insert.run(n, record(n).padEnd(ROW_BYTES))
    note(n)
    await setTimeout(PAUSE_MS)
  }
}

/** Notes each line that it is given, `NAME NUMBER`, in that name, and says so. */
async function said(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const [by, n] = line.split(' ')
    note(Number(n), { by })
    console.log(line)
  }
}
