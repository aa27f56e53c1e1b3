/**
 * The journal: what a restarted daemon has to know about the commands of the one before it.
 *
 * One JSON line an event, in a folder on tmpfs that only guestd reads. A line is written before a
 * command is launched, so a request that is repeated after a crash never runs twice.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { StartError } from '../errors.ts'
import type { EndFacts, ExitFacts } from '../protocol/frames.ts'
import { lockFile } from '../sys/lock.ts'
import { messageOf } from '../util/message-of.ts'

export interface StartRecord {
  readonly id: string
  /** Digest of the request that started it; `null` when its id was made by guestd. */
  readonly digest: string | null
  readonly startedAt: string
  readonly cwd: string
  readonly user: string
  readonly commandLine: string
  readonly detach: boolean
  readonly onDisconnect: 'keep' | 'kill'
  readonly cgroupPath: string | null
}

export interface PidRecord {
  readonly pid: number
  /** Field 22 of /proc/PID/stat: with the pid it names one process; `null` where a cgroup does. */
  readonly startTime: number | null
}

export interface EndRecord {
  readonly endedAt: string
  readonly exit: ExitFacts
  readonly end: Omit<EndFacts, 'truncated'>
}

export interface Entry {
  readonly start: StartRecord
  readonly process: PidRecord | null
  readonly end: EndRecord | null
}

export interface Journal {
  /** What the daemon before this one left, oldest first. */
  readonly recovered: readonly Entry[]
  /** @throws Error when it cannot be written: then nothing may be started. The others report that. */
  started(record: StartRecord): void
  launched(id: string, record: PidRecord): void
  ended(id: string, record: EndRecord): void
  forgotten(id: string): void
  close(): void
}

type Line =
  | { readonly op: 'start'; readonly id: string; readonly record: StartRecord }
  | { readonly op: 'pid'; readonly id: string; readonly record: PidRecord }
  | { readonly op: 'end'; readonly id: string; readonly record: EndRecord }
  | { readonly op: 'forget'; readonly id: string }

/** The file is rewritten when it holds this many lines more than it has to. */
const SPARE_LINES = 5_000

/**
 * @param failed told when what has happened could not be written: a restarted daemon will not know
 * @throws Error when another guestd uses the folder, or it cannot be written
 */
export function openJournal(runDir: string, failed: (error: unknown) => void): Journal {
  const lock = takeFolder(runDir)
  const path = join(runDir, 'commands.ndjson')
  const entries = load(path)
  const recovered = [...entries.values()]
  let lines = 0
  let fd = -1

  const rewrite = () => {
    const kept = [...entries.values()].flatMap(toLines)
    const next = `${path}.next`
    const nextFd = openSync(next, 'w', 0o600)
    writeSync(nextFd, kept.map(line => `${JSON.stringify(line)}\n`).join(''))
    renameSync(next, path)
    if (fd >= 0) closeSync(fd)
    fd = nextFd
    lines = kept.length
  }

  /** After a write that failed the file may end inside a line. */
  let torn = false

  const append = (line: Line) => {
    const text = `${torn ? '\n' : ''}${JSON.stringify(line)}\n`
    torn = true
    if (writeSync(fd, text) < Buffer.byteLength(text)) throw new Error('the journal has no space')
    torn = false
    apply(entries, line)
    lines += 1
  }

  const write = (line: Line) => {
    try {
      append(line)
      if (lines > entries.size * 3 + SPARE_LINES) rewrite()
    } catch (error) {
      failed(error)
    }
  }

  rewrite()
  return {
    recovered,
    started: record => append({ op: 'start', id: record.id, record }),
    launched: (id, record) => write({ op: 'pid', id, record }),
    ended: (id, record) => write({ op: 'end', id, record }),
    forgotten: id => write({ op: 'forget', id }),
    close() {
      closeSync(fd)
      lock.release()
    },
  }
}

function takeFolder(runDir: string): { release(): void } {
  try {
    // Not its parents: a path that is wrong is to be told, not made.
    if (!existsSync(runDir)) mkdirSync(runDir, { mode: 0o700 })
    return lockFile(join(runDir, 'lock'))
  } catch (error) {
    const reason = messageOf(error)
    throw new StartError(`runDir ${runDir} cannot be used: ${reason}`)
  }
}

function load(path: string): Map<string, Entry> {
  const entries = new Map<string, Entry>()
  for (const text of readText(path).split('\n')) {
    const line = parse(text)
    if (line !== null) apply(entries, line)
  }
  return entries
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** A daemon that died while it wrote leaves a torn last line: what it told is not known. */
function parse(text: string): Line | null {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return null
  }
}

function apply(entries: Map<string, Entry>, line: Line): void {
  const entry = entries.get(line.id)
  if (line.op === 'start') entries.set(line.id, { start: line.record, process: null, end: null })
  else if (line.op === 'forget') entries.delete(line.id)
  else if (entry === undefined) return
  else if (line.op === 'pid') entries.set(line.id, { ...entry, process: line.record })
  else entries.set(line.id, { ...entry, end: line.record })
}

function toLines({ start, process, end }: Entry): readonly Line[] {
  const { id } = start
  return [
    { op: 'start', id, record: start },
    ...(process === null ? [] : [{ op: 'pid', id, record: process } as const]),
    ...(end === null ? [] : [{ op: 'end', id, record: end } as const]),
  ]
}
