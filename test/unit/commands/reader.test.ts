import t from 'tap'
import { createBlockPool } from '../../../src/commands/blocks.ts'
import { exitFacts } from '../../../src/commands/exit-facts.ts'
import type { Life } from '../../../src/commands/life.ts'
import { createOutputLog } from '../../../src/commands/output-log.ts'
import { createReader } from '../../../src/commands/reader.ts'
import type { AttachOptions } from '../../../src/commands/types.ts'

const facts = exitFacts({ cause: 'exit', durationMs: 1, exitCode: 0 })

/** A command that has written nothing yet, and what its readers have reported. */
function makeCommand(ringBytes = 64 * 1024) {
  const pool = createBlockPool(1024, () => 64 * 1024)
  const log = createOutputLog(ringBytes, 0, undefined, pool)
  const life: Life = {
    id: 'a',
    startedAt: '2026-01-01T00:00:00.000Z',
    cwd: '/',
    user: 'agent',
    pid: 7,
    exit: null,
    end: null,
    closed: false,
  }
  const reports: string[] = []
  const read = (options: Partial<AttachOptions> = {}) =>
    createReader(log, life, { cursor: 0, follow: true, hold: false, ...options }, pool, {
      advanced: () => reports.push('advanced'),
      finished: () => reports.push('finished'),
      cut: () => reports.push('cut'),
      closed: () => reports.push('closed'),
    })
  return {
    log,
    life,
    pool,
    reports,
    read,
    exit: () => {
      life.exit = { facts, at: '', cursor: log.end }
    },
    end: () => {
      const { stdout, stderr } = log.totals
      const counts = { stdoutBytes: stdout, stderrBytes: stderr, descendants: 0 }
      life.end = { facts: counts, cursor: log.end }
    },
  }
}

type Reader = ReturnType<ReturnType<typeof makeCommand>['read']>

/** All frames that there are at present, with the text of their output. */
function readAll(reader: Reader, maxBytes = 100): string[] {
  const found: string[] = []
  for (let frame = reader.read(maxBytes); frame !== null; frame = reader.read(maxBytes)) {
    const text = frame.type === 'output' ? ` ${frame.stream} ${Buffer.from(frame.bytes)}` : ''
    found.push(`${frame.type}${text} @${'cursor' in frame ? frame.cursor : ''}`)
  }
  return found
}

t.test('a reader gets start, output, exit where it happened, late output, and end', async t => {
  const { log, life, read, exit, end } = makeCommand()
  const reader = read()
  t.same(readAll(reader), ['start @0'])
  log.append('stdout', Buffer.from('one'))
  log.append('stderr', Buffer.from('two'))
  t.same(readAll(reader), ['output stdout one @3', 'output stderr two @6'])
  exit()
  log.append('stdout', Buffer.from('late'))
  end()
  life.closed = true
  t.same(readAll(reader), ['exit @6', 'output stdout late @10', 'end @10'])
  t.equal(reader.done, true)
  const again = readAll(read())
  t.same(again, [
    'start @0',
    'output stdout one @3',
    'output stderr two @6',
    'exit @6',
    'output stdout late @10',
    'end @10',
  ])
})

t.test('a frame ends between two characters', async t => {
  const { log, read } = makeCommand()
  log.append('stdout', Buffer.from('aé€b'))
  t.same(readAll(read(), 3), [
    'start @0',
    'output stdout aé @3',
    'output stdout € @6',
    'output stdout b @7',
  ])
})

t.test('bytes that the log has dropped are a gap, and the end counts them', async t => {
  const { log, life, read, exit, end } = makeCommand(4 * 1024)
  const reader = read()
  for (let i = 0; i < 20; i++) log.append('stdout', Buffer.alloc(1024, 'x'))
  t.ok(log.begin > 0)
  exit()
  end()
  life.closed = true
  reader.read(100)
  t.same(reader.read(100), { type: 'gap', from: 0, to: log.begin, cursor: log.begin })
  let last = reader.read(1024)
  for (let frame = last; frame !== null; frame = reader.read(1024)) last = frame
  t.same(last, {
    type: 'end',
    stdoutBytes: 20 * 1024,
    stderrBytes: 0,
    descendants: 0,
    truncated: log.begin,
    cursor: 20 * 1024,
  })
})

t.test(
  'without follow a reader stops at the present, and without an end there is none',
  async t => {
    const { log, read, reports } = makeCommand()
    log.append('stdout', Buffer.from('one'))
    const reader = read({ follow: false })
    log.append('stdout', Buffer.from('two'))
    t.same(readAll(reader), ['start @0', 'output stdout one @3'])
    t.equal(reader.done, true)
    t.same(reports, ['advanced', 'finished'])
  },
)

t.test('a client that had an event does not get it again', async t => {
  const { log, life, read, exit, end } = makeCommand()
  log.append('stdout', Buffer.from('one'))
  exit()
  log.append('stdout', Buffer.from('late'))
  end()
  life.closed = true
  const rest = ['output stdout late @7', 'end @7']
  t.same(readAll(read({ cursor: 3, seen: 'output' })), ['start @3', 'exit @3', ...rest])
  t.same(readAll(read({ cursor: 3, seen: 'exit' })), ['start @3', ...rest])
  t.same(readAll(read({ cursor: 7, seen: 'output' })), ['start @7', 'end @7'])
})

t.test('the starter is done at the end, other readers follow descendants', async t => {
  const { log, life, read, exit, end } = makeCommand()
  exit()
  end()
  const starter = read({ hold: true })
  const other = read()
  t.same(readAll(starter), ['start @0', 'exit @0', 'end @0'])
  t.same(readAll(other), ['start @0', 'exit @0'])
  log.append('stdout', Buffer.from('late'))
  t.same(readAll(other), ['output stdout late @4'])
  life.closed = true
  t.same(readAll(other), ['end @4'])
})

t.test('a reader that is closed before the end is cut, and gives its memory back', async t => {
  const { log, pool, read, reports } = makeCommand()
  log.append('stdout', Buffer.alloc(3000, 'x'))
  const reader = read()
  readAll(reader, 1024)
  log.shrinkTo(0)
  t.equal(pool.freeBytes, 0, 'the reader still uses the blocks')
  reader.release()
  t.ok(pool.freeBytes > 0)
  reports.length = 0
  reader.close()
  reader.close()
  t.same(reports, ['cut', 'closed'])
  t.equal(reader.read(100), null)
})

t.test('a cursor past the end is refused', async t => {
  const { read } = makeCommand()
  t.throws(() => read({ cursor: 1 }), { code: 'cursor_out_of_range' })
})
