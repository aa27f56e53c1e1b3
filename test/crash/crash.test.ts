/**
 * Power cuts of a machine at work: every write and flush of its disks is recorded, the disks are made
 * as cuts leave them, mounted and checked for what was acknowledged. Two ways of doing it wrong are
 * recorded beside it: what finds no loss there finds none at all.
 */
import { randomInt } from 'node:crypto'
import { rmSync } from 'node:fs'
import t, { type Test } from 'tap'
import { matchExactly } from '../helpers/match-exactly.ts'
import type { DiskName } from './disks.ts'
import type { Point } from './points.ts'
import { createRandom } from './random.ts'
import { record } from './record.ts'
import { FOLDER, POINTS } from './settings.ts'
import { openTrial, type Trial } from './trial.ts'
import { RECEIPT, WORKLOADS } from './workloads.ts'

/** A boot and its work on a busy machine, and seconds for each point. */
const LIMIT_MS = 50 * 60_000
const CONTROL_POINTS = 12
/** Of the points, as many again are tried of the machine after a power cut. */
const RESUMED_SHARE = 0.25
/** Most writes reach the disk, as with a cut that comes a moment after them. */
const CONTROL_LIKELIHOOD = 0.9
const MAX_SEED = 2 ** 31
/** Of the machine after the power cut: the disk is that of a session before the one that is cut. */
const GENERATION = 3

t.setTimeout(LIMIT_MS)
const seed = Number(process.env.GUESTD_CRASH_SEED ?? randomInt(MAX_SEED))
t.comment(`seed ${seed}, ${POINTS} points`)
const { receipt, resumed } = await record(FOLDER, phase => t.comment(phase))
t.match(receipt, { clean: true, outcome: 'unmount' }, 'the stop is clean')
t.same(receipt?.errors, [])

function open(test: { teardown(undo: () => void): void }, disk: DiskName): Trial {
  const trial = openTrial(FOLDER, disk)
  test.teardown(() => trial.close())
  return trial
}

/** Tries so many points of a disk of guestd's; each of its workloads has to have something to lose. */
async function tryPoints(t: Test, disk: 'workspace' | 'resumed', points: number): Promise<void> {
  const trial = open(t, disk)
  const { subject } = trial
  const choices = Array.from({ length: points }, (_, number) => ({ seed, number, of: points }))
  const results = await trial.run(choices.map(trial.choose))
  t.equal(results.size, points)
  const option = disk === 'resumed' ? ' --resumed' : ''
  for (const [number, { losses }] of results) {
    if (losses.length === 0) continue
    const again = `node test/crash/point.ts --seed ${seed} --point ${number} --of ${points}${option}`
    t.fail(`point ${number} of seed ${seed}: ${losses.join('; ')}\n${again}`)
  }
  // What was looked for was there to be lost.
  const wanted = [...results.values()].map(({ claims }) => claims)
  for (const name of Object.keys(WORKLOADS[disk])) {
    const last = subject.notes.findLast(({ by }) => by === name)?.n ?? 0
    t.ok(last > 0, `${name} noted ${last}`)
    t.equal(results.get(points - 1)?.claims.get(name)?.n, last, 'after the stop all of it counts')
    const different = new Set(wanted.map(claims => claims.get(name)?.n ?? 0))
    t.ok(different.size > 2, `${different.size} states of it were cut`)
  }
  const discards = subject.recording.entries.filter(({ discard }) => discard).length
  t.ok(discards > 0, `${discards} discards`)
  const flushes = subject.recording.entries.filter(({ flush }) => flush).length
  t.comment(`${subject.recording.entries.length} entries, ${flushes} flushes`)
}

await t.test('nothing that was acknowledged is lost, and the file system recovers', t =>
  tryPoints(t, 'workspace', POINTS),
)

await t.test(
  'nor in the machine after a power cut, whose stop has to shut the volume down',
  async t => {
    const { session, receipt, claims } = resumed
    t.match(session, { generation: GENERATION, resumed: true, recovered: true })
    matchExactly(t, session.recovery, [/e2fsck -p: /])
    t.match(receipt, { clean: true, outcome: 'shutdown', heldBy: /mount namespace/ })
    t.same(receipt?.errors, [])
    t.ok(claims.length >= 6, `${claims.map(([name, { n }]) => `${name} ${n}`)} from before the cut`)
    await tryPoints(t, 'resumed', Math.ceil(POINTS * RESUMED_SHARE))
  },
)

await t.test('without barriers what was synced is lost, and that is seen', async t => {
  const trial = open(t, 'no-barriers')
  const { notes, recording } = trial.subject
  const [first, last] = [notes[0]?.at ?? 0, notes.at(-1)?.at ?? 0]
  t.notOk(recording.entries.some(({ index, flush }) => flush && index < last))
  const cut = (number: number, keeps: Point['keeps']): Point => ({
    number,
    durable: 0,
    cut: createRandom(seed, number).between(Math.ceil((first + last) / 2), last),
    keeps,
  })
  const partly = Array.from({ length: CONTROL_POINTS }, (_, number) =>
    cut(number, { seed: seed ^ number, likelihood: CONTROL_LIKELIHOOD }),
  )
  const whole = cut(CONTROL_POINTS, 'all')
  const results = await trial.run([...partly, whole])
  t.same(results.get(whole.number)?.losses, [], 'a disk that has all of its writes is whole')
  const lossy = partly.filter(({ number }) => (results.get(number)?.losses.length ?? 0) > 0)
  t.ok(lossy.length > 0, `lost at ${lossy.length} of ${CONTROL_POINTS} points`)
})

await t.test('after a stop that only calls syncfs records are lost, and that is seen', async t => {
  const trial = open(t, 'only-syncfs')
  const { notes, recording } = trial.subject
  const stopped = notes.find(({ by }) => by === RECEIPT)?.at ?? 0
  const flush = recording.entries.findLast(({ index, flush }) => flush && index < stopped)
  t.ok(flush !== undefined, 'syncfs has flushed')
  const point = {
    number: 0,
    durable: (flush?.index ?? 0) + 1,
    cut: stopped + 1,
    keeps: 'none',
  } as const
  const { losses = [], claims } = (await trial.run([point])).get(0) ?? {}
  t.equal(claims?.size, Object.keys(WORKLOADS['only-syncfs']).length)
  t.ok(
    losses.some(loss => /^append-\d: record \d+ of \d+ is/.test(loss)),
    losses.join('; '),
  )
  t.equal(losses.filter(loss => !loss.startsWith('append-')).length, 0, 'nothing else is wrong')
})

if (t.passing()) rmSync(FOLDER, { recursive: true, force: true })
else t.comment(`the recording is in ${FOLDER}`)
