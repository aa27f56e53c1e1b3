/** What a machine did to one of its disks: the disk as it was before, and the log of all its writes. */
import { closeSync, openSync } from 'node:fs'
import { type LogEntry, readWriteLog } from './write-log.ts'

export interface Recording {
  /** The disk before the first write. */
  readonly before: string
  /** Of the log. */
  readonly fd: number
  readonly entries: readonly LogEntry[]
  close(): void
}

/** A machine of these tests makes a few ten thousand. */
const MAX_ENTRIES = 1_000_000

/** @throws WriteLogError */
export function openRecording(before: string, log: string): Recording {
  const fd = openSync(log, 'r')
  const entries: LogEntry[] = []
  try {
    for (const entry of readWriteLog(fd)) {
      if (entries.length === MAX_ENTRIES) throw new Error(`${log} has too many entries`)
      entries.push(entry)
    }
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return { before, fd, entries, close: () => closeSync(fd) }
}
