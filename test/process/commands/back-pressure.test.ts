import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import {
  createTally,
  type FrameStream,
  openOutput,
  openRun,
  tallyRest,
} from '../../helpers/frame-stream.ts'
import { run, startGuestd, until } from '../../helpers/guestd.ts'
import { LONG } from '../../helpers/long.ts'
import { rssBytes } from '../../helpers/processes.ts'
import { sha256 } from '../../helpers/sha256.ts'
import { detach, inspect, MIB, stoppedAt, written } from './support.ts'

/** V8 keeps up to 48 MiB for young objects. The memory of the output itself is used again. */
const GARBAGE_BYTES = 64 * MIB

const types = (frames: readonly { type: string }[]) => frames.map(frame => frame.type)

t.test('a starter that stalls makes the command wait, and loses nothing', async t => {
  const guestd = await startGuestd(t)
  const bytes = Buffer.from(`${'0123456789abcde\n'.repeat(64)}`.repeat(64 * 1024))
  await run(guestd, { command: 'true' })
  const before = rssBytes(guestd.pid)
  const command = `yes 0123456789abcde | head -c ${bytes.length}; echo over > over`
  const stream = await openRun(guestd, { id: 'stalled', command })
  const tally = createTally()
  for (let i = 0; i < 5; i++) {
    const frame = await stream.next()
    if (frame !== null) tally.add(frame)
  }
  const place = await stoppedAt(guestd, 'stalled')
  t.ok(place < 8 * MIB, `it wrote ${place} bytes`)
  t.match(await inspect(guestd, 'stalled'), { state: 'running', truncated: 0 })
  await sleep(1_000)
  t.equal(await written(guestd, 'stalled'), place, 'and waits')
  const grown = rssBytes(guestd.pid) - before
  t.ok(grown < 40 * MIB, `guestd grew by ${Math.round(grown / MIB)} MiB`)

  const others = await tallyRest(stream, tally)
  t.same(types(others), ['exit', 'end'])
  t.match(others[1], { truncated: 0, stdoutBytes: bytes.length })
  t.equal(tally.gaps, 0)
  t.equal(tally.sha256('stdout'), sha256(bytes))
})

t.test('tiny writes to both streams are held for a stalled starter as well', async t => {
  const guestd = await startGuestd(t, { config: { output: { ringBytes: 64 * 1024 } } })
  // Each piece is a read of its own, and costs more than its byte.
  const count = 500
  const command = `for ((i = 0; i < ${count}; i++)); do printf a; printf b >&2; sleep 0.001; done`
  const stream = await openRun(guestd, { id: 'tiny', command })
  await stream.next()
  await stoppedAt(guestd, 'tiny')
  const tally = createTally()
  const others = await tallyRest(stream, tally)
  t.same(types(others), ['exit', 'end'])
  t.equal(tally.gaps, 0)
  t.same([tally.bytes('stdout'), tally.bytes('stderr')], [count, count])
})

t.test('a starter loses nothing where the ring is smaller than what it may lag', async t => {
  for (const ringBytes of [4 * 1024, 100_000, 256 * 1024]) {
    const guestd = await startGuestd(t, { config: { output: { ringBytes } } })
    const bytes = randomBytes(3 * MIB)
    writeFileSync(join(guestd.workspace, 'bytes'), bytes)
    const stream = await openRun(guestd, { id: 'small', command: 'cat bytes; cat bytes >&2' })
    await stream.upTo('start')
    await stoppedAt(guestd, 'small')
    const tally = createTally()
    const others = await tallyRest(stream, tally)
    t.same(types(others), ['exit', 'end'], `${ringBytes}`)
    t.equal(tally.sha256('stdout'), sha256(bytes))
    t.equal(tally.sha256('stderr'), sha256(bytes))
  }
})

t.test('one stalled reader among 64 slows no other reader', async t => {
  const READERS = 64
  const guestd = await startGuestd(t)
  const bytes = Buffer.from('one line of many readers\n'.repeat(90_000))
  writeFileSync(join(guestd.workspace, 'bytes'), bytes)
  const command = 'while [ ! -e go ]; do sleep 0.02; done; cat bytes; exit 6'
  const starter = await openRun(guestd, { id: 'shared', command })
  const readers = await Promise.all(
    Array.from({ length: READERS }, () => openOutput(guestd, 'shared', 'follow=true')),
  )
  const [stalled, ...others] = readers
  writeFileSync(join(guestd.workspace, 'go'), '')
  const read = async (stream: FrameStream) => {
    const tally = createTally()
    const frames = await tallyRest(stream, tally)
    return { frames, sha256: tally.sha256('stdout'), gaps: tally.gaps }
  }
  const [first, ...rest] = await Promise.all([read(starter), ...others.map(read)])
  // So far no byte of the stalled reader's connection has been read.
  t.equal(stalled?.cursor, 0)
  t.equal(first.sha256, sha256(bytes))
  t.equal(rest.length, READERS - 1)
  t.equal(rest.filter(one => one.sha256 === sha256(bytes) && one.gaps === 0).length, READERS - 1)
  t.match(await inspect(guestd, 'shared'), { state: 'ended', exitCode: 6 })
  // The ring still holds all of it, so that the slow one loses nothing either.
  if (stalled !== undefined) t.equal((await read(stalled)).sha256, sha256(bytes))
})

t.test('a reader that is not the starter gets a gap when it falls behind', async t => {
  const ringBytes = MIB
  const guestd = await startGuestd(t, { config: { output: { ringBytes } } })
  const bytes = randomBytes(24 * MIB)
  writeFileSync(join(guestd.workspace, 'bytes'), bytes)
  const command = 'while [ ! -e go ]; do sleep 0.02; done; cat bytes'
  const starter = await openRun(guestd, { id: 'behind', command })
  const slow = await openOutput(guestd, 'behind', 'follow=true')
  const tally = createTally()
  const start = await slow.next()
  t.equal(start?.type, 'start')
  writeFileSync(join(guestd.workspace, 'go'), '')
  const whole = createTally()
  await tallyRest(starter, whole)
  t.equal(whole.sha256('stdout'), sha256(bytes), 'the starter is not slowed and loses nothing')
  const others = await tallyRest(slow, tally)
  const lost = others
    .filter(frame => frame.type === 'gap')
    .reduce((sum, gap) => sum + Number(gap.to) - Number(gap.from), 0)
  t.ok(lost > 0 && tally.gaps > 0, `${lost} bytes lost in ${tally.gaps} gaps`)
  t.equal(tally.bytes('stdout') + lost, bytes.length, 'no byte is lost silently')
  t.equal(tally.misplaced, 0)
  t.match(others.at(-1), { type: 'end', truncated: lost, cursor: bytes.length })
})

t.test('a command whose stream was cut is held for the grace, and then runs on', async t => {
  // Much more than what is on its way to a client that is cut, on a busy host too.
  const ringBytes = 8 * MIB
  const reattachGraceMs = 6_000
  const config = { reattachGraceMs, output: { ringBytes } }
  const guestd = await startGuestd(t, { config })
  const bytes = randomBytes(24 * MIB)
  writeFileSync(join(guestd.workspace, 'bytes'), bytes)
  const stream = await openRun(guestd, { id: 'grace', command: 'cat bytes' })
  await stream.upTo('output')
  const { cursor } = stream
  const cutAt = performance.now()
  stream.cut()
  const place = await stoppedAt(guestd, 'grace')
  t.ok(place < 10 * MIB, `held at ${place}`)
  const held = await inspect(guestd, 'grace')
  t.equal(held.state, 'running')
  t.ok(Number(held.firstCursor) <= cursor, 'what the reader has not seen is still there')
  await until(async () => (await inspect(guestd, 'grace')).state === 'ended')
  const waited = performance.now() - cutAt
  t.ok(waited >= reattachGraceMs, `it ran on after ${Math.round(waited)} ms`)
  const tally = createTally(cursor)
  const late = await openOutput(guestd, 'grace', `cursor=${cursor}&follow=true&hold=true`)
  const others = await tallyRest(late, tally)
  const [start, gap, exit, end] = others
  t.same(types(others), ['start', 'gap', 'exit', 'end'])
  t.equal(start?.cursor, cursor)
  t.equal(gap?.from, cursor)
  const lost = Number(gap?.to) - cursor
  t.match(end, { truncated: lost, stdoutBytes: bytes.length })
  t.match(exit, { cause: 'exit', exitCode: 0 })
  t.equal(tally.sha256('stdout'), sha256(bytes.subarray(Number(gap?.to))))
})

t.test('a slow reader of a command that is forgotten gets all of it', async t => {
  const guestd = await startGuestd(t, { config: { output: { keepCommands: 0 } } })
  for (const length of [100, 300_000, 450_000]) {
    const bytes = Buffer.alloc(length, 'sixteen letters\n')
    writeFileSync(join(guestd.workspace, 'bytes'), bytes)
    const stream = await openRun(guestd, { id: `short-${length}`, command: 'cat bytes' })
    await stream.upTo('start')
    await sleep(500)
    const tally = createTally()
    const others = await tallyRest(stream, tally)
    t.same(types(others), ['exit', 'end'], `${length}`)
    t.equal(tally.sha256('stdout'), sha256(bytes))
    await until(async () => (await inspect(guestd, `short-${length}`)).status === 404)
  }
  writeFileSync(join(guestd.workspace, 'bytes'), randomBytes(6 * MIB))
  const command = 'while [ ! -e go ]; do sleep 0.02; done; cat bytes'
  await detach(guestd, { id: 'detached', command })
  const reader = await openOutput(guestd, 'detached', 'follow=true')
  await reader.upTo('start')
  writeFileSync(join(guestd.workspace, 'go'), '')
  await until(async () => (await inspect(guestd, 'detached')).status === 404)
  const tally = createTally()
  t.same(types(await tallyRest(reader, tally)), ['exit', 'end'])
  t.equal(tally.bytes('stdout'), 6 * MIB)
})

t.test('a detached command writes on, within its bound', async t => {
  const seconds = LONG ? 60 : 3
  const ringBytes = 4 * MIB
  const guestd = await startGuestd(t, { config: { output: { ringBytes } } })
  await run(guestd, { command: 'yes | head -c 20000000 > /dev/null' })
  const before = rssBytes(guestd.pid)
  const body = { id: 'yes', argv: ['yes', 'a line of a program that never ends'], detach: true }
  await guestd.request('POST', '/v1/commands', { body })
  let largest = 0
  let mostHeld = 0
  let health = 0
  const over = performance.now() + seconds * 1_000
  while (performance.now() < over) {
    const info = await inspect(guestd, 'yes')
    mostHeld = Math.max(mostHeld, Number(info.cursor) - Number(info.firstCursor))
    largest = Math.max(largest, rssBytes(guestd.pid))
    if ((await guestd.request('GET', '/healthz')).status < 300) health += 1
    await sleep(100)
  }
  const end = await written(guestd, 'yes')
  t.ok(end > 64 * MIB, `it wrote ${Math.round(end / MIB)} MiB`)
  t.ok(mostHeld <= ringBytes, `${mostHeld} bytes were held`)
  t.ok(mostHeld > ringBytes / 2)
  t.ok(
    largest - before < ringBytes + GARBAGE_BYTES,
    `guestd grew by ${Math.round((largest - before) / MIB)} MiB`,
  )
  t.ok(health > seconds, 'and answers meanwhile')
  t.match((await guestd.request('DELETE', '/v1/commands/yes')).json(), { empty: true })
})
