/**
 * The journal: what a restarted daemon has to know about the commands of the one before it.
 *
 * One line an event, in a folder on tmpfs that only guestd reads. A line is written before a command is
 * launched, so a request that is repeated after a crash never runs twice. A journal that is damaged, or that
 * cannot be read or written, never keeps guestd from serving: it is reported.
 */
import {
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { GuestdError } from '../errors.ts'
import { messageOf } from '../util/message-of.ts'
import { readLines, replaceFile } from './journal-file.ts'
import {
  applyLine,
  decodeLine,
  type EndRecord,
  type Entry,
  encodeLine,
  type Header,
  isUnchecked,
  type Line,
  linesOf,
  MAX_LINE_BYTES,
  type PidRecord,
  type StartRecord,
  VERSION,
} from './journal-lines.ts'
import { createSpare } from './journal-spare.ts'

export type { EndRecord, Entry, PidRecord, StartRecord } from './journal-lines.ts'

export interface JournalProblem {
  readonly code: 'journal_damaged' | 'journal_unreadable' | 'journal_version' | 'journal_full'
  /** In words. */
  readonly reason: string
}

export interface Journal {
  /** What the daemon before this one left, oldest first. */
  readonly recovered: readonly Entry[]
  /** What one of another boot or session left: nothing of it counts but the processes that still live. */
  readonly foreign: readonly Entry[]
  /** What was wrong at the start. */
  readonly problems: readonly JournalProblem[]
  /**
   * @throws GuestdError `state_unavailable` when it cannot be written, `invalid_request` when it is too
   * long: then nothing may be started. The others report that.
   */
  started(record: StartRecord): void
  launched(id: string, record: PidRecord): void
  ended(id: string, record: EndRecord): void
  forgotten(id: string): void
  /** All that has happened is written down. */
  readonly isComplete: boolean
  /** Writes all of it anew, as after its folder was lost. @throws where that fails */
  save(): void
  /** Writes what could not be written before, where there is room for it now. */
  catchUp(): void
  close(): void
}

export interface JournalOptions {
  readonly path: string
  readonly bootId: string
  /** What is there belongs to another session. */
  readonly isForeign: boolean
  /** Called where what has happened could not be written, once until all of it is: a restarted daemon will not know. */
  readonly failed: (error: unknown) => void
}

/** The file is rewritten when it holds this many lines more than it has to. */
const SPARE_LINES = 5_000
/** A journal without space tries to make some this often, in milliseconds: each time it writes all of it. */
const RELIEF_MS = 1_000

export function openJournal({ path, bootId, isForeign, failed }: JournalOptions): Journal {
  const found = load(path, bootId)
  const { problems } = found
  const ours = !isForeign && found.isOfBoot
  const entries = ours ? found.entries : new Map<string, Entry>()
  const recovered = [...entries.values()]
  const foreign = ours ? [] : [...found.entries.values()]
  const header: Header = { op: 'journal', version: VERSION, bootId }
  const spare = createSpare(`${path}.spare`)
  let fd = -1
  let bytes = 0
  let lines = 0
  /** Something of `entries` is not in the file. */
  let isBehind = false
  let relievedAt = Number.NEGATIVE_INFINITY

  const save = () => {
    const kept = [header, ...[...entries.values()].flatMap(linesOf)]
    const written = replaceFile(path, texts(kept))
    if (fd >= 0) closeSync(fd)
    fd = written.fd
    bytes = written.bytes
    lines = kept.length
    isBehind = false
  }

  /** What follows must not stand in the middle of a line. */
  const cutBack = () => {
    try {
      ftruncateSync(fd, bytes)
    } catch {
      closeSync(fd)
      fd = -1
      isBehind = true
    }
  }

  const append = (line: Line) => {
    const text = encodeLine(line)
    const length = Buffer.byteLength(text)
    if (length > MAX_LINE_BYTES)
      throw new GuestdError(
        'invalid_request',
        `the record of the command has ${length} bytes, and may have ${MAX_LINE_BYTES}`,
      )
    if (fd < 0) throw new Error('the journal is not there')
    try {
      if (writeSync(fd, text) < length) throw new Error('the journal has no space')
    } catch (error) {
      cutBack()
      throw error
    }
    bytes += length
    lines += 1
  }

  /**
   * Makes room: the lines that say nothing any more go, and then the space that is kept for this.
   *
   * @returns false where there is none, or where it was tried a moment ago
   */
  const relieve = (): boolean => {
    if (performance.now() - relievedAt < RELIEF_MS) return false
    relievedAt = performance.now()
    try {
      save()
    } catch {
      if (!spare.drop()) return false
      try {
        save()
      } catch {
        // The space that is free now takes some lines.
        return fd >= 0
      }
    }
    spare.make()
    return true
  }

  const write = (line: Line) => {
    applyLine(entries, line)
    const before = isBehind
    // A rewrite has all that `entries` has, this line too.
    isBehind = true
    try {
      append(line)
      isBehind = before
      if (isBehind || lines > entries.size * 3 + SPARE_LINES) relieve()
    } catch (error) {
      const report = (reason: unknown) => {
        if (!before) failed(reason)
      }
      if (!relieve()) return report(error)
      if (!isBehind) return
      try {
        append(line)
        isBehind = before
      } catch (again) {
        report(again)
      }
    }
  }

  const full = (error: unknown) =>
    new GuestdError('state_unavailable', `runDir: ${messageOf(error)}`)

  /** The last of the space is for the ends of those that run. */
  const checkSpare = () => {
    if (!spare.isWhole) spare.make()
    if (!spare.isWhole) throw full(new Error('there is less than 1 MiB of space left'))
  }

  const begin = (line: Line & { op: 'start' }) => {
    checkSpare()
    try {
      append(line)
    } catch (error) {
      if (error instanceof GuestdError) throw error
      if (!relieve()) throw full(error)
      checkSpare()
      try {
        append(line)
      } catch (again) {
        throw full(again)
      }
    }
    applyLine(entries, line)
  }

  /** Without a new file the old one goes on, or none at all: the next line tries again. */
  const open = () => {
    try {
      save()
    } catch (error) {
      spare.drop()
      rmSync(`${path}.spare`, { force: true })
      try {
        save()
      } catch {
        const reason = `the journal cannot be written: ${messageOf(error)}`
        problems.push({ code: 'journal_full', reason })
        isBehind = true
      }
    }
    spare.make()
  }

  open()
  return {
    recovered,
    foreign,
    problems,
    started: record => begin({ op: 'start', id: record.id, record }),
    launched: (id, record) => write({ op: 'pid', id, record }),
    ended: (id, record) => write({ op: 'end', id, record }),
    forgotten: id => write({ op: 'forget', id }),
    get isComplete() {
      return !isBehind
    },
    save() {
      save()
      spare.make()
    },
    catchUp() {
      if (isBehind) relieve()
      else spare.make()
    },
    close() {
      if (fd >= 0) closeSync(fd)
      fd = -1
    },
  }
}

function* texts(lines: readonly Line[]): Iterable<string> {
  for (const line of lines) yield encodeLine(line)
}

interface Loaded {
  readonly entries: Map<string, Entry>
  readonly isOfBoot: boolean
  readonly problems: JournalProblem[]
}

function load(path: string, bootId: string): Loaded {
  const entries = new Map<string, Entry>()
  const problems: JournalProblem[] = []
  let header: Header | null = null
  let unchecked: boolean | null = null
  let damaged = 0
  try {
    readLines(path, MAX_LINE_BYTES, {
      line(bytes) {
        unchecked ??= isUnchecked(bytes)
        const line = decodeLine(bytes, unchecked)
        if (line === null) damaged += 1
        else if (line.op === 'journal') header ??= line
        else if ((header?.version ?? VERSION) <= VERSION) applyLine(entries, line)
      },
      tooLong() {
        unchecked ??= false
        damaged += 1
      },
    })
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    const reason = `the journal ${path} cannot be read: ${messageOf(error)}`
    if (!isMissing) problems.push({ code: 'journal_unreadable', reason })
  }
  const { version, bootId: boot } = (header as Header | null) ?? { version: VERSION, bootId }
  if (version > VERSION) {
    const reason = `the journal ${path} has version ${version}, this guestd knows ${VERSION}`
    problems.push({ code: 'journal_version', reason })
  }
  if (damaged > 0) {
    const reason = `${damaged} lines of the journal ${path} are damaged: commands may be missing`
    problems.push({ code: 'journal_damaged', reason })
  }
  if (problems.length > 0) setAside(path)
  return { entries, isOfBoot: boot === bootId, problems }
}

/** For people to look at; of more than one the last is kept. The file itself stays until a new one has its name. */
function setAside(path: string): void {
  const aside = `${path}.damaged`
  try {
    rmSync(aside, { force: true, recursive: true })
    if (lstatSync(path).isFile()) linkSync(path, aside)
    else renameSync(path, aside)
  } catch {
    // Then it is not kept.
  }
}
