/**
 * The journal: what a restarted daemon has to know about the commands of the daemon before it.
 *
 * It has one line for each event, in a folder on tmpfs that only guestd reads. A line is written before a command is
 * launched, so a request that is repeated after a crash never runs twice. A journal that is damaged, or that cannot be
 * read or written, never keeps guestd from serving: the problem is reported.
 */
import { rmSync } from 'node:fs'
import { messageOf } from '../util/message-of.ts'
import { createAppender } from './journal-appender.ts'
import {
  type EndRecord,
  type Entry,
  type PidRecord,
  type StartRecord,
  VERSION,
} from './journal-lines.ts'
import { type JournalProblem, loadJournal } from './journal-load.ts'
import { createSpare, type Spare } from './journal-spare.ts'
import { createStore, type JournalStore } from './journal-store.ts'

export type { EndRecord, Entry, PidRecord, StartRecord } from './journal-lines.ts'

export interface Journal {
  /** The commands of the daemon before this one, oldest first. */
  readonly recovered: readonly Entry[]
  /** The commands of another boot or session: only the processes that still run count. */
  readonly foreign: readonly Entry[]
  /** Problems at the start. */
  readonly problems: readonly JournalProblem[]
  /**
   * @throws GuestdError `state_unavailable` where it cannot be written, `invalid_request` where it is too
   * long: then nothing may be started. The other methods report that to `failed`.
   */
  started(record: StartRecord): void
  launched(id: string, record: PidRecord): void
  ended(id: string, record: EndRecord): void
  forgotten(id: string): void
  /** The file has all that has happened. */
  readonly isComplete: boolean
  /** Rewrites all of it, as after its folder was lost. @throws Error where that fails */
  save(): void
  /** Writes what could not be written before, where there is space for it now. */
  catchUp(): void
  close(): void
}

export interface JournalOptions {
  readonly path: string
  readonly bootId: string
  /** The file at `path` belongs to another session. */
  readonly isForeign: boolean
  /**
   * Called where an event could not be written, which a restarted daemon will not know of. Not called again until all
   * events are written.
   */
  readonly failed: (error: unknown) => void
}

export function openJournal({ path, bootId, isForeign, failed }: JournalOptions): Journal {
  const found = loadJournal(path, bootId)
  const isOurs = !isForeign && found.isOfBoot
  const entries = isOurs ? found.entries : new Map<string, Entry>()
  const recovered = [...entries.values()]
  const sparePath = `${path}.spare`
  const spare = createSpare(sparePath)
  const file = createAppender(path)
  const header = { op: 'journal', version: VERSION, bootId } as const
  const store = createStore({ header, entries, file, spare, failed })
  const problem = saveFirst(store, spare, sparePath)
  return {
    recovered,
    foreign: isOurs ? [] : [...found.entries.values()],
    problems: problem === null ? found.problems : [...found.problems, problem],
    started: record => store.begin({ op: 'start', id: record.id, record }),
    launched: (id, record) => store.record({ op: 'pid', id, record }),
    ended: (id, record) => store.record({ op: 'end', id, record }),
    forgotten: id => store.record({ op: 'forget', id }),
    get isComplete() {
      return store.isComplete
    },
    save() {
      store.save()
      spare.make()
    },
    catchUp() {
      if (store.isComplete) spare.make()
      else store.relieve()
    },
    close: file.close,
  }
}

/** Where no new file can be written the old one stays, and the next line tries again. */
function saveFirst(store: JournalStore, spare: Spare, sparePath: string): JournalProblem | null {
  try {
    store.save()
    return null
  } catch (error) {
    rmSync(sparePath, { force: true })
    try {
      store.save()
      return null
    } catch {
      const reason = `the journal cannot be written: ${messageOf(error)}`
      return { code: 'journal_full', reason }
    }
  } finally {
    spare.make()
  }
}
