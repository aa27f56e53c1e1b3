import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { encodeMark, type Mark } from '../../../src/volume/mark.ts'
import { checkMark } from '../../crash/mark.ts'
import type { Point } from '../../crash/points.ts'
import { createRebuilder } from '../../crash/rebuild.ts'
import { openRecording } from '../../crash/recording.ts'
import { makeScratch } from '../../helpers/scratch.ts'
import { makeLog, SECTOR } from './log-file.ts'

const PAGE = 8 * SECTOR
/** Of the file system, in front of the mark. */
const BYTES = 4 * PAGE
const FLUSH = { flags: 1 }

const mark = (sequence: number, state: Mark['state']): Buffer =>
  encodeMark({
    ...{ sequence, state, generation: 1, at: new Date(0).toISOString() },
    ...{ sessionId: null, runtimeVersion: null, receipt: null },
  })
const slot = (index: number, data: Buffer) => ({ sector: (BYTES + index * PAGE) / SECTOR, data })
const write = { sector: 0, data: Buffer.alloc(PAGE, 'x') }

/** A disk that is marked clean before, and what is found on it after a cut. */
function makeDisk(t: Parameters<typeof makeScratch>[0], log: string) {
  const folder = makeScratch(t)
  const before = join(folder, 'before')
  writeFileSync(before, Buffer.concat([Buffer.alloc(BYTES), mark(1, 'clean'), Buffer.alloc(PAGE)]))
  const recording = openRecording(before, log)
  const rebuilder = createRebuilder(recording, join(folder, 'rolling'))
  t.teardown(() => {
    rebuilder.close()
    recording.close()
  })
  return (durable: number, cut: number, keeps: Point['keeps']) => {
    const file = join(folder, 'disk')
    const point = { number: 0, durable, cut, keeps }
    const kept = rebuilder.build(point, file)
    return () => checkMark({ recording, bytes: BYTES }, point, { file, kept })
  }
}

t.test('a mark that says in use before the first write, and clean after the last, is true', t => {
  const log = [slot(1, mark(2, 'inUse')), FLUSH, write, FLUSH, slot(0, mark(3, 'clean')), FLUSH]
  const at = makeDisk(t, makeLog(t, log))
  t.equal(at(0, 0, 'none')(), false, 'of the session before')
  t.equal(at(0, 1, 'all')(), false)
  t.equal(at(2, 3, 'all')(), false)
  t.equal(at(4, 5, 'none')(), false)
  t.equal(at(4, 5, 'all')(), true, 'the stop is over')
  t.equal(at(6, 6, 'none')(), true)
  t.end()
})

t.test('a mark that says clean of what was written since is seen', t => {
  const early = makeDisk(t, makeLog(t, [write, FLUSH, slot(1, mark(2, 'inUse')), FLUSH]))
  t.throws(early(0, 1, 'all'), { message: /clean since entry -1, and entry 0 is on the disk/ })
  t.throws(early(2, 2, 'none'), { message: /clean since entry -1/ })
  t.equal(early(4, 4, 'none')(), false)
  const late = makeDisk(t, makeLog(t, [slot(1, mark(2, 'clean')), write, FLUSH]))
  t.equal(late(0, 1, 'all')(), true)
  t.throws(late(0, 2, 'all'), { message: /clean since entry 0, and entry 1/ })
  t.throws(late(3, 3, 'none'), { message: /clean since entry 0, and entry 1/ })
  t.end()
})

t.test('a volume with two torn slots is reported', t => {
  const torn = [slot(0, Buffer.alloc(PAGE, 'guestd-mark 1 ')), FLUSH]
  const at = makeDisk(t, makeLog(t, torn))
  t.throws(at(2, 2, 'none'), { message: 'no slot can be read' })
  t.end()
})
