import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CLOCK_FILE, openHostClock } from '../../../src/session/host-clock.ts'
import { makeScratch } from '../../helpers/scratch.ts'

const HOST = '2030-05-01T12:00:00.000Z'
const HOUR_MS = 3_600_000
const msOf = ({ at }: { readonly at: string }) => Date.parse(at)

t.test("the host's time goes on from when it was sent, also over a restart", async t => {
  const runDir = makeScratch(t)
  const clock = openHostClock(runDir, 'boot')
  t.equal(clock.now().byHost, false)
  t.ok(Math.abs(msOf(clock.now()) - Date.now()) < HOUR_MS)

  const aheadMs = clock.set(HOST)
  t.ok(Math.abs(aheadMs - (Date.now() - Date.parse(HOST))) < HOUR_MS)
  for (const one of [clock, openHostClock(runDir, 'boot')]) {
    t.equal(one.now().byHost, true)
    const passedMs = msOf(one.now()) - Date.parse(HOST)
    t.ok(passedMs >= 0 && passedMs < HOUR_MS, `${passedMs}`)
    t.ok(msOf(one.now()) - msOf(one.now(HOUR_MS)) > HOUR_MS / 2)
  }
  t.equal(openHostClock(runDir, 'another boot').now().byHost, false)
})

t.test('the wall clock can only make the time later, and does not count for deletions', async t => {
  const runDir = makeScratch(t)
  openHostClock(runDir, 'boot').set(HOST)
  const file = join(runDir, CLOCK_FILE)
  const kept = JSON.parse(readFileSync(file, 'utf8'))
  for (const member of ['monotonicMs', 'wallMs']) {
    const content = { ...kept.content, [member]: kept.content[member] - 10 * HOUR_MS }
    writeFileSync(file, JSON.stringify({ ...kept, content }))
    const clock = openHostClock(runDir, 'boot')
    const passedMs = msOf(clock.now()) - Date.parse(HOST)
    t.ok(passedMs >= 10 * HOUR_MS && passedMs < 11 * HOUR_MS, `${member}: ${passedMs}`)
    const earliest = clock.earliest()
    t.equal(earliest.byHost, true)
    const hours = Math.floor((msOf(earliest) - Date.parse(HOST)) / HOUR_MS)
    t.equal(hours, member === 'monotonicMs' ? 10 : 0, member)
  }
})

t.test('where it cannot be written it counts until guestd ends', async t => {
  const runDir = join(makeScratch(t), 'missing')
  const clock = openHostClock(runDir, 'boot')
  clock.set(HOST)
  t.equal(clock.now().byHost, true)
  t.equal(openHostClock(runDir, 'boot').now().byHost, false)
})
