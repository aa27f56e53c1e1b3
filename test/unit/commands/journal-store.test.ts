import t from 'tap'
import type { JournalAppender } from '../../../src/commands/journal-appender.ts'
import type { Entry, Line } from '../../../src/commands/journal-lines.ts'
import { createStore } from '../../../src/commands/journal-store.ts'
import { startRecord as record } from '../../helpers/start-record.ts'

const started: Line = { op: 'start', id: 'a', record }
const launched: Line = { op: 'pid', id: 'a', record: { pid: 7, startTime: null } }

/** A file and reserved space on a file system that is full whenever the test says so. */
function makeStore() {
  const disk = { canAppend: true, canReplace: true, hasSpare: true }
  let lines: Line[] = []
  const check = (isPossible: boolean) => {
    if (!isPossible) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
  }
  const file: JournalAppender = {
    get lines() {
      return lines.length
    },
    isOpen: true,
    append(line) {
      check(disk.canAppend)
      lines.push(line)
    },
    replace(kept) {
      check(disk.canReplace)
      lines = [...kept]
    },
    close: () => {},
  }
  const spare = {
    get isWhole() {
      return disk.hasSpare
    },
    make: () => {},
    drop() {
      const had = disk.hasSpare
      disk.hasSpare = false
      if (had) disk.canReplace = true
      return had
    },
  }
  const failures: unknown[] = []
  const entries = new Map<string, Entry>()
  const header = { op: 'journal', version: 2, bootId: 'boot' } as const
  const failed = (error: unknown) => failures.push(error)
  const store = createStore({ header, entries, file, spare, failed })
  store.save()
  return { disk, store, failures, ops: () => lines.map(({ op }) => op) }
}

t.test('lines are appended', async t => {
  const { store, failures, ops } = makeStore()
  store.begin(started)
  store.record(launched)
  t.same(ops(), ['journal', 'start', 'pid'])
  t.equal(store.isComplete, true)
  t.same(failures, [])
})

t.test('where a line has no space the file is rewritten with it', async t => {
  const { disk, store, failures, ops } = makeStore()
  store.begin(started)
  disk.canAppend = false
  store.record(launched)
  t.same(ops(), ['journal', 'start', 'pid'])
  t.equal(store.isComplete, true)
  t.same(failures, [])
})

t.test('the reserved space is freed for what has happened', async t => {
  const { disk, store, failures, ops } = makeStore()
  store.begin(started)
  Object.assign(disk, { canAppend: false, canReplace: false })
  store.record(launched)
  t.equal(disk.hasSpare, false)
  t.same(ops(), ['journal', 'start', 'pid'])
  t.equal(store.isComplete, true)
  t.same(failures, [])
})

t.test('without any space the store is incomplete, and reports that once', async t => {
  const { disk, store, failures, ops } = makeStore()
  store.begin(started)
  Object.assign(disk, { canAppend: false, canReplace: false, hasSpare: false })
  store.record(launched)
  store.record({ op: 'forget', id: 'other' })
  t.equal(store.isComplete, false)
  t.equal(failures.length, 1)
  t.same(ops(), ['journal', 'start'])
  t.equal(store.relieve(), false, 'it was tried a moment ago')
})

t.test('nothing begins without space for its end', async t => {
  const { disk, store, ops } = makeStore()
  disk.hasSpare = false
  t.throws(() => store.begin(started), { code: 'state_unavailable' })
  t.same(ops(), ['journal'])
  disk.hasSpare = true
  Object.assign(disk, { canAppend: false })
  t.throws(() => store.begin(started), { code: 'state_unavailable' })
  store.save()
  t.same(ops(), ['journal'], 'a command that did not begin is not kept')
})
