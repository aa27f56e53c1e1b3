import t from 'tap'
import { type Block, createBlockPool } from '../../../src/commands/blocks.ts'
import { createBudget } from '../../../src/commands/budget.ts'
import { createOutputLog } from '../../../src/commands/output-log.ts'

const KIB = 1024

/** The same numbers in each run. */
function randomly(seed: number) {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

t.test('a log holds the newest bytes, in order, within its bound on memory', async t => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = randomly(seed)
    const pool = createBlockPool(4 * KIB, () => 16 * KIB)
    const ringBytes = 32 * KIB
    const log = createOutputLog(ringBytes, 0, undefined, pool)
    const all: string[] = []
    let most = 0
    for (let step = 0; step < 400; step++) {
      const stream = random(2) === 0 ? 'stdout' : 'stderr'
      const text = String.fromCharCode(97 + random(26)).repeat(random(3) === 0 ? random(6_000) : 3)
      const room = log.room()
      const isDirect = random(2) === 0 && text.length > 0
      if (isDirect) {
        const length = Math.min(text.length, room.length)
        room.set(Buffer.from(text).subarray(0, length))
        log.commit(stream, length)
        all.push(...Array<string>(length).fill(stream[3] + (text[0] ?? '')))
      } else {
        log.append(stream, Buffer.from(text))
        all.push(...Array<string>(text.length).fill(stream[3] + (text[0] ?? '')))
      }
      most = Math.max(most, log.heldBytes)
    }
    t.ok(most <= ringBytes, `${most} bytes of memory`)
    t.equal(log.end, all.length)
    t.ok(log.end - log.begin > ringBytes / 3, 'and it uses most of the bound')
    const read: string[] = []
    const blocks = new Set<Block>()
    for (let cursor = log.begin; ; ) {
      const slice = log.slice(cursor, 1 + random(3_000))
      if (slice === null) break
      blocks.add(slice.block)
      for (const byte of slice.bytes) read.push(slice.stream[3] + String.fromCharCode(byte))
      t.ok(log.costFrom(cursor) <= log.heldBytes)
      cursor = slice.cursor
    }
    t.equal(read.join(), all.slice(log.begin).join(), `seed ${seed}`)
    const memory = [...blocks].reduce((sum, { bytes }) => sum + bytes.length, 0)
    t.ok(memory <= log.heldBytes, 'every block counts as a whole')
    log.shrinkTo(0)
    t.equal(log.heldBytes, 0)
  }
})

t.test('what is needed from a cursor on stays, and no character is cut', async t => {
  const pool = createBlockPool(KIB, () => 0)
  let place = 0
  const log = createOutputLog(8 * KIB, 0, () => log.costFrom(place), pool)
  const line = 'aé€😀'.repeat(40)
  for (let i = 0; i < 100; i++) log.append('stdout', Buffer.from(line))
  t.equal(log.begin, 0)
  place = 9_000
  log.append('stdout', Buffer.from(line))
  t.ok(log.begin > 0 && log.begin <= place, `it begins at ${log.begin}`)
  place = log.end
  log.append('stdout', Buffer.from(line))
  const parts: Uint8Array[] = []
  for (let cursor = log.begin; ; ) {
    const slice = log.slice(cursor, KIB)
    if (slice === null) break
    parts.push(slice.bytes)
    cursor = slice.cursor
  }
  const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
  t.ok(text.length > 1_000)
})

t.test('a block is used again once no log and no reader uses it', async t => {
  const pool = createBlockPool(KIB, () => 2 * KIB)
  const first = pool.take(KIB)
  first.lenders += 1
  pool.drop(first)
  t.not(pool.take(KIB), first, 'a reader still uses it')
  pool.giveBack(first)
  t.equal(pool.freeBytes, KIB)
  t.equal(pool.take(KIB), first)
  for (const block of [first, pool.take(KIB), pool.take(KIB)]) pool.drop(block)
  t.equal(pool.freeBytes, 2 * KIB, 'no more than the bound')
  pool.trim()
  pool.trim()
  t.ok(pool.freeBytes < 2 * KIB, 'what is not needed is freed')
  pool.clear()
  t.equal(pool.freeBytes, 0)
})

t.test('commands that are over give up what their starters have not read, as the last', async t => {
  const member = (isOver: boolean) => {
    const log = createOutputLog(64 * KIB)
    log.append('stdout', Buffer.alloc(8 * KIB))
    return { log, ended: isOver, isOver, reserveBytes: log.heldBytes }
  }
  const budget = createBudget(40 * KIB)
  const lives = member(false)
  budget.add(lives)
  budget.enforce(lives)
  for (let i = 0; i < 20; i++) {
    const over = member(true)
    budget.add(over)
    budget.enforce(over)
    t.ok(budget.heldBytes <= 40 * KIB, `${budget.heldBytes}`)
  }
  t.equal(lives.log.begin, 0, 'a log that lives keeps it')
})
