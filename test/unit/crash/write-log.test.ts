import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { claimsAt, type Note } from '../../crash/notes.ts'
import { choosePoint, type Point } from '../../crash/points.ts'
import { createRandom } from '../../crash/random.ts'
import { createRebuilder, keptPieces } from '../../crash/rebuild.ts'
import { openRecording } from '../../crash/recording.ts'
import { type LogEntry, readWriteLog } from '../../crash/write-log.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { makeScratch } from '../../helpers/scratch.ts'
import { makeLog, SECTOR, type Written } from './log-file.ts'

const FLUSH = 1
const FUA = 2
const DISCARD = 4
const MARK = 8

function entriesOf(path: string): LogEntry[] {
  const fd = openSync(path, 'r')
  try {
    return [...readWriteLog(fd)]
  } finally {
    closeSync(fd)
  }
}

t.test('a log is read as writes, flushes and discards, in order', async t => {
  const path = makeLog(t, [
    { sector: 8, data: Buffer.alloc(2 * SECTOR, 'a') },
    { flags: FLUSH },
    { flags: MARK, data: Buffer.from('words') },
    { sector: 4, flags: DISCARD, sectors: 100 },
    { sector: 1, flags: FUA | FLUSH, data: Buffer.alloc(SECTOR, 'b') },
  ])
  matchExactly(t, entriesOf(path), [
    { index: 0, offset: 4096, bytes: 1024, flush: false, fua: false, dataAt: 1024 },
    { index: 1, bytes: 0, flush: true, dataAt: null },
    { index: 3, offset: 2048, bytes: 51_200, discard: true, dataAt: null },
    { index: 4, offset: 512, bytes: 512, flush: true, fua: true },
  ])
})

t.test('a file that is not a log, or is truncated, is refused', async t => {
  const path = makeLog(t, [{ data: Buffer.alloc(SECTOR) }, { data: Buffer.alloc(8 * SECTOR) }])
  const whole = readFileSync(path)
  writeFileSync(path, whole.subarray(0, -1))
  t.throws(() => entriesOf(path), { name: 'WriteLogError', message: 'entry 1 of 2 is cut off' })
  writeFileSync(path, whole.subarray(0, 20))
  t.throws(() => entriesOf(path), { name: 'WriteLogError', message: 'it ends at 20' })
  writeFileSync(path, Buffer.alloc(4096, 'x'))
  t.throws(() => entriesOf(path), { name: 'WriteLogError', message: 'it has no superblock' })
  for (const size of [0, 4096]) {
    writeFileSync(path, Buffer.alloc(size))
    t.same(entriesOf(path), [], 'one that has just begun')
  }
  whole.writeUInt32LE(100, 24)
  writeFileSync(path, whole)
  t.throws(() => entriesOf(path), { message: 'its sectors have 100 bytes' })
})

const PAGE = 8 * SECTOR

/** A disk of eight pages of zeros, and a log: 1, flush, 2 and 3 as one write, 4 with FUA, 1 again. */
function makeDisk(t: Parameters<typeof makeScratch>[0], more: readonly Written[] = []) {
  const log = makeLog(t, [
    { sector: 8, data: Buffer.alloc(PAGE, '1') },
    { flags: FLUSH },
    { sector: 16, data: Buffer.concat([Buffer.alloc(PAGE, '2'), Buffer.alloc(PAGE, '3')]) },
    { sector: 32, flags: FUA, data: Buffer.alloc(PAGE, '4') },
    { sector: 8, data: Buffer.alloc(PAGE, '5') },
    { flags: FLUSH },
    ...more,
  ])
  const folder = makeScratch(t)
  const before = join(folder, 'before')
  writeFileSync(before, Buffer.alloc(8 * PAGE))
  const recording = openRecording(before, log)
  const rebuilder = createRebuilder(recording, join(folder, 'rolling'))
  t.teardown(() => {
    rebuilder.close()
    recording.close()
  })
  const file = join(folder, 'disk')
  const pages = (point: Omit<Point, 'number'>) => {
    rebuilder.build({ number: 0, ...point }, file)
    const bytes = readFileSync(file)
    return Array.from({ length: 8 }, (_, page) => {
      const part = bytes.subarray(page * PAGE, (page + 1) * PAGE)
      if (!part.every(byte => byte === part[0])) throw new Error(`page ${page} is torn`)
      return part[0] === 0 ? '.' : part.toString('latin1', 0, 1)
    }).join('')
  }
  return { recording, pages }
}

t.test(
  'a disk is what was durable and what was kept of the rest, in the order of the log',
  async t => {
    const { pages } = makeDisk(t)
    t.equal(pages({ durable: 0, cut: 0, keeps: 'none' }), '........')
    t.equal(pages({ durable: 2, cut: 5, keeps: 'all' }), '.5234...')
    t.equal(pages({ durable: 2, cut: 4, keeps: 'all' }), '.1234...')
    t.equal(pages({ durable: 2, cut: 5, keeps: 'none' }), '.1..4...', 'FUA is kept')
    t.equal(pages({ durable: 6, cut: 6, keeps: 'none' }), '.5234...')
    t.equal(pages({ durable: 2, cut: 2, keeps: 'none' }), '.1......', 'an earlier one after it')
  },
)

t.test('what a discard covers is zeros on a disk that has it', async t => {
  // Pages 2 to 4.
  const { pages } = makeDisk(t, [
    { sector: 16, sectors: 24, flags: DISCARD },
    { sector: 24, data: Buffer.alloc(PAGE, '6') },
    { flags: FLUSH },
  ])
  t.equal(pages({ durable: 6, cut: 8, keeps: 'none' }), '.5234...')
  t.equal(pages({ durable: 6, cut: 7, keeps: 'all' }), '.5......')
  t.equal(pages({ durable: 6, cut: 8, keeps: 'all' }), '.5.6....')
  t.equal(pages({ durable: 9, cut: 9, keeps: 'none' }), '.5.6....')
})

t.test('a subset is the same for the same seed, and takes writes apart at pages', async t => {
  const { pages } = makeDisk(t)
  const seen = new Set<string>()
  for (let seed = 0; seed < 100; seed++) {
    const keeps = { seed, likelihood: 0.5 }
    const disk = pages({ durable: 2, cut: 5, keeps })
    t.equal(pages({ durable: 2, cut: 5, keeps }), disk)
    t.match(disk, /^\.[15][2.][3.]4\.\.\.$/)
    seen.add(disk)
  }
  t.equal(seen.size, 8, 'every one of them')
})

t.test('points lie within their flushes, and are the same alone', async t => {
  const { recording } = makeDisk(t)
  const { entries } = recording
  const all = (seed: number) =>
    Array.from({ length: 50 }, (_, number) => choosePoint(entries, { seed, number, of: 50 }))
  t.same(all(7), all(7))
  t.notSame(all(7), all(8))
  for (const point of all(7)) {
    t.ok([0, 2, 6].includes(point.durable))
    t.ok(point.durable <= point.cut && point.cut <= 6)
    t.notOk(
      entries.some(({ index, flush }) => flush && index >= point.durable && index < point.cut),
    )
    for (const { entry } of keptPieces(recording, point))
      t.ok(entry.index >= point.durable && entry.index < point.cut)
  }
  t.match(all(7)[0], { durable: 0, cut: 0 })
  t.match(all(7).at(-1), { durable: 6, cut: 6, keeps: 'none' })
  t.equal(new Set(all(7).map(point => JSON.stringify({ ...point, number: 0 }))).size > 10, true)
})

t.test('random numbers are the same for a seed and spread over their range', async t => {
  const [one, same, other] = [createRandom(1, 2), createRandom(1, 2), createRandom(1, 3)]
  const draws = Array.from({ length: 1000 }, () => one.between(3, 6))
  t.same(
    draws,
    draws.map(() => same.between(3, 6)),
  )
  t.notSame(
    draws,
    draws.map(() => other.between(3, 6)),
  )
  for (const value of [3, 4, 5, 6]) {
    const count = draws.filter(draw => draw === value).length
    t.ok(count > 200 && count < 300, `${value}: ${count}`)
  }
})

t.test('what must be there: after an fsync at once, else by flush or stop', async t => {
  const notes: Note[] = [
    { at: 1, by: 'append', n: 1 },
    { at: 2, by: 'fsync', n: 1 },
    { at: 3, by: 'begin', n: 1 },
    { at: 4, by: 'append', n: 2 },
    { at: 5, by: 'done', n: 1 },
    { at: 6, by: 'begin', n: 2 },
    { at: 7, by: 'fsync', n: 2 },
  ]
  const rules = { durableAtOnce: new Set(['fsync']), flush: { begin: 'begin', done: 'done' } }
  const claims = (cut: number, stopped = false) =>
    Object.fromEntries([...claimsAt(notes, cut, stopped, rules)].map(([by, { n }]) => [by, n]))
  t.same(claims(2), {})
  t.same(claims(5), { fsync: 1 }, 'the flush is not acknowledged')
  t.same(claims(6), { fsync: 1, append: 1 }, 'what was noted before the flush')
  t.same(claims(8), { fsync: 2, append: 1 }, 'a flush that only began says nothing')
  t.same(claims(8, true), { fsync: 2, append: 2 })
})
