/** Reads the journal that the daemon before this one left. */
import { linkSync, lstatSync, renameSync, rmSync } from 'node:fs'
import { errnoName } from '../sys/launch.ts'
import { messageOf } from '../util/message-of.ts'
import { readLines } from './journal-file.ts'
import {
  applyLine,
  decodeLine,
  type Entry,
  type Header,
  isUnchecked,
  MAX_LINE_BYTES,
  VERSION,
} from './journal-lines.ts'

export interface JournalProblem {
  readonly code: 'journal_damaged' | 'journal_unreadable' | 'journal_version' | 'journal_full'
  /** In words. */
  readonly reason: string
}

export interface LoadedJournal {
  /** The commands by id, oldest first. */
  readonly entries: Map<string, Entry>
  /** Whether it was written in this boot. */
  readonly isOfBoot: boolean
  readonly problems: readonly JournalProblem[]
}

/** Never fails: a journal with problems gives what can be read of it, and is kept beside the new one. */
export function loadJournal(path: string, bootId: string): LoadedJournal {
  const { entries, header, damaged, error } = readEntries(path)
  const version = header?.version ?? VERSION
  const problems: JournalProblem[] = []
  if (error !== null) {
    const reason = `the journal ${path} cannot be read: ${messageOf(error)}`
    problems.push({ code: 'journal_unreadable', reason })
  }
  if (version > VERSION) {
    const reason = `the journal ${path} has version ${version}, this guestd knows ${VERSION}`
    problems.push({ code: 'journal_version', reason })
  }
  if (damaged > 0) {
    const reason = `${damaged} lines of the journal ${path} are damaged: commands may be missing`
    problems.push({ code: 'journal_damaged', reason })
  }
  if (problems.length > 0) setAside(path)
  return { entries, isOfBoot: header === null || header.bootId === bootId, problems }
}

interface ReadEntries {
  readonly entries: Map<string, Entry>
  header: Header | null
  /** Lines that are damaged or too long. */
  damaged: number
  /** Why reading ended early; `null` also where there is no journal. */
  error: unknown
}

function readEntries(path: string): ReadEntries {
  const found: ReadEntries = { entries: new Map(), header: null, damaged: 0, error: null }
  /** `null` before the first line. */
  let unchecked: boolean | null = null
  try {
    readLines(path, MAX_LINE_BYTES, {
      line(bytes) {
        unchecked ??= isUnchecked(bytes)
        const line = decodeLine(bytes, unchecked)
        if (line === null) found.damaged += 1
        else if (line.op === 'journal') found.header ??= line
        else if ((found.header?.version ?? VERSION) <= VERSION) applyLine(found.entries, line)
      },
      tooLong() {
        unchecked ??= false
        found.damaged += 1
      },
    })
  } catch (error) {
    if (errnoName(error) !== 'ENOENT') found.error = error
  }
  return found
}

/** Keeps a copy for people to read; a later copy replaces it. The journal itself stays until a new one replaces it. */
function setAside(path: string): void {
  const aside = `${path}.damaged`
  try {
    rmSync(aside, { force: true, recursive: true })
    if (lstatSync(path).isFile()) linkSync(path, aside)
    else renameSync(path, aside)
  } catch {
    // There is no copy then.
  }
}
