import { crc32 } from 'node:zlib'
import t from 'tap'
import { exitFacts } from '../../../src/commands/exit-facts.ts'
import {
  applyLine,
  decodeLine,
  type EndRecord,
  type Entry,
  encodeLine,
  isUnchecked,
  type Line,
  linesOf,
} from '../../../src/commands/journal-lines.ts'
import { startRecord as start } from '../../helpers/start-record.ts'

const process = { pid: 7, startTime: 123 }
const end: EndRecord = {
  endedAt: '2026-01-01T00:00:01.000Z',
  exit: exitFacts({ cause: 'exit', durationMs: 1, exitCode: 3 }),
  end: { stdoutBytes: 1, stderrBytes: 2, descendants: 0 },
}
const lines: readonly Line[] = [
  { op: 'journal', version: 2, bootId: 'boot' },
  { op: 'start', id: 'a', record: start },
  { op: 'pid', id: 'a', record: process },
  { op: 'end', id: 'a', record: end },
  { op: 'forget', id: 'a' },
]

/** A line with a right checksum. */
const checked = (value: unknown) => {
  const json = JSON.stringify(value)
  return Buffer.from(`${crc32(json).toString(16).padStart(8, '0')} ${json}`)
}

t.test('every line is read as it was written', async t => {
  for (const line of lines) {
    const text = encodeLine(line)
    t.equal(text.at(-1), '\n')
    t.same(decodeLine(Buffer.from(text.slice(0, -1)), false), line, line.op)
  }
})

t.test('a line of another shape does not count, though its checksum is right', async t => {
  t.same(decodeLine(checked(lines[1]), false), lines[1])
  const wrong: readonly unknown[] = [
    null,
    [],
    { op: 'unknown', id: 'a' },
    { op: 'toString', id: 'a' },
    { op: 'forget' },
    { op: 'forget', id: 1 },
    { op: 'start', id: 'a', record: { ...start, detach: 'no' } },
    { op: 'start', id: 'a', record: { ...start, onDisconnect: 'else' } },
    { op: 'pid', id: 'a', record: { pid: -1, startTime: null } },
    { op: 'end', id: 'a', record: { ...end, exit: { ...end.exit, cause: 'else' } } },
    { op: 'end', id: 'a', record: { ...end, end: { stdoutBytes: 1 } } },
    { op: 'journal', version: '2', bootId: 'boot' },
  ]
  for (const value of wrong) t.equal(decodeLine(checked(value), false), null, JSON.stringify(value))
})

t.test('a file of version 1 has no checksums', async t => {
  const first = Buffer.from(JSON.stringify(lines[1]))
  t.equal(isUnchecked(first), true)
  t.equal(isUnchecked(Buffer.from(encodeLine({ op: 'forget', id: 'a' }))), false)
  t.same(decodeLine(first, true), lines[1])
  t.equal(decodeLine(first, false), null)
  t.equal(decodeLine(Buffer.from('{"op":'), true), null, 'it may be damaged')
})

t.test('the lines give the commands, in the order of their starts', async t => {
  const entries = new Map<string, Entry>()
  const apply = (line: Line) => applyLine(entries, line)
  apply({ op: 'pid', id: 'unknown', record: process })
  apply({ op: 'end', id: 'unknown', record: end })
  t.equal(entries.size, 0, 'what has no start does not count')
  apply({ op: 'start', id: 'a', record: start })
  apply({ op: 'start', id: 'b', record: { ...start, id: 'b' } })
  apply({ op: 'pid', id: 'a', record: process })
  t.same(
    [...entries.values()],
    [
      { start, process, end: null },
      { start: { ...start, id: 'b' }, process: null, end: null },
    ],
  )
  apply({ op: 'end', id: 'a', record: end })
  const later = { ...end, end: { ...end.end, stdoutBytes: 9 } }
  apply({ op: 'end', id: 'a', record: later })
  t.same(entries.get('a'), { start, process, end: later }, 'the last end counts')
  apply({ op: 'forget', id: 'a' })
  t.same([...entries.keys()], ['b'])
})

t.test('the lines of an entry give that entry again', async t => {
  const wanted: readonly Entry[] = [
    { start, process: null, end: null },
    { start, process, end: null },
    { start, process, end },
    { start, process: null, end },
  ]
  for (const entry of wanted) {
    const entries = new Map<string, Entry>()
    for (const line of linesOf(entry)) applyLine(entries, line)
    t.same([...entries.values()], [entry])
  }
})
