import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openJournal, type StartRecord } from '../../../src/commands/journal.ts'
import { readLines, replaceFile } from '../../../src/commands/journal-file.ts'
import { decodeLine, encodeLine, MAX_LINE_BYTES } from '../../../src/commands/journal-lines.ts'
import { makeScratch } from '../../helpers/scratch.ts'

const record = (id: string, cwd = '/'): StartRecord => ({
  id,
  digest: null,
  startedAt: '2026-01-01T00:00:00.000Z',
  cwd,
  user: 'nobody',
  commandLine: 'true é\n',
  detach: false,
  onDisconnect: 'keep',
  cgroupPath: null,
})

const open = (path: string) =>
  openJournal({
    path,
    bootId: 'boot',
    isForeign: false,
    failed: error => {
      throw error
    },
  })

t.test('a record that is too long is refused, and nothing of it is written', async t => {
  const path = join(makeScratch(t), 'journal')
  const journal = open(path)
  journal.started(record('one'))
  const { size } = statSync(path)
  const cwd = '\u0001'.repeat(MAX_LINE_BYTES / 6)
  t.throws(() => journal.started(record('two', cwd)), { code: 'invalid_request' })
  t.equal(statSync(path).size, size)
  journal.started(record('three'))
  journal.close()
  t.same(
    open(path).recovered.map(({ start }) => start.id),
    ['one', 'three'],
  )
})

t.test('what is written again and again is rewritten, and stays what it is', async t => {
  const path = join(makeScratch(t), 'journal')
  const journal = open(path)
  journal.started(record('kept'))
  for (let count = 0; count < 6_000; count += 1) {
    journal.started(record('brief'))
    journal.forgotten('brief')
  }
  t.ok(statSync(path).size < 12_000 * 100, 'it was rewritten')
  journal.close()
  t.same(open(path).recovered, [{ start: record('kept'), process: null, end: null }])
})

t.test('every change of one byte of a line is found', async t => {
  const line = encodeLine({ op: 'start', id: 'x', record: record('x') })
  const bytes = Buffer.from(line.trimEnd())
  t.same(decodeLine(bytes, false), { op: 'start', id: 'x', record: record('x') })
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 0x01
    if (decodeLine(changed, false) !== null) t.fail(`byte ${at}`)
  }
  t.equal(decodeLine(bytes.subarray(9), false), null, 'without a checksum it does not count')
})

t.test('lines are read whole, whatever the pieces; a last one without an end is not', async t => {
  const path = join(makeScratch(t), 'lines')
  const lines = Array.from({ length: 9_000 }, (_, n) => 'x'.repeat(n % 211))
  writeFileSync(path, `${lines.join('\n')}\n${'y'.repeat(500_000)}\nafter\ntorn`)
  const found: string[] = []
  let tooLong = 0
  readLines(path, 1_000, {
    line: bytes => void found.push(bytes.toString()),
    tooLong: () => void tooLong++,
  })
  t.same(found, [...lines, 'after'])
  t.equal(tooLong, 1)
})

t.test('a file that cannot be replaced stays as it was', async t => {
  const dir = makeScratch(t)
  const path = join(dir, 'file')
  writeFileSync(path, 'old')
  mkdirSync(join(dir, 'file.next', 'below'), { recursive: true })
  t.throws(() => replaceFile(path, ['new']))
  t.equal(readFileSync(path, 'utf8'), 'old')
})
