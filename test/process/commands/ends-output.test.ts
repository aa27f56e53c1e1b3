import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openOutput } from '../../helpers/frame-stream.ts'
import { run, startGuestd, until } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { inspect, mark } from './support.ts'

/** Far above what an answer takes here, far below the 30 s that a wrong wait would take. */
const AT_ONCE_MS = 5_000

const guestd = await startGuestd(t)

t.test('the exit comes when the process exits, though a child holds its pipes', async t => {
  const { env, living } = mark(t)
  const from = performance.now()
  const { exit, end, stdout, frames } = await run(guestd, {
    command: 'sleep 30 & echo done',
    env,
  })
  t.ok(performance.now() - from < AT_ONCE_MS)
  t.match(exit, { cause: 'exit', exitCode: 0 })
  t.equal(stdout, 'done\n')
  t.equal(end.descendants, 1)
  t.equal(living().length, 1, 'the child lives on')
  const id = frames[0]?.id
  t.match(await inspect(guestd, id), { state: 'ended', descendants: 1, lateBytes: 0 })
  const reply = await guestd.request('DELETE', `/v1/commands/${id}`)
  t.match(reply.json(), { empty: true })
  t.same(living(), [])
  t.match(await inspect(guestd, id), { cause: 'exit', exitCode: 0, descendants: 0 })
})

t.test('with background kill no process outlives the command', async t => {
  const { env, living } = mark(t)
  const { exit, end, stdout } = await run(guestd, {
    command: '(trap "" TERM; sleep 30) & setsid sleep 30 & echo done; exit 2',
    background: 'kill',
    env,
  })
  t.match(exit, { cause: 'exit', exitCode: 2 })
  t.equal(end.descendants, 0)
  t.equal(stdout, 'done\n')
  t.same(living(), [])
})

t.test('late output of a descendant goes to the log, and is followed to its end', async t => {
  const late = 'sleep 0.6; echo late; echo $? > rc; sleep 0.2; echo later >&2; echo $? >> rc'
  const command = `(${late}) & echo done`
  const { end, stdout, frames } = await run(guestd, { command })
  t.equal(stdout, 'done\n')
  t.match(end, { stdoutBytes: 5, cursor: 5, descendants: 2 })

  const id = String(frames[0]?.id)
  t.notOk(existsSync(join(guestd.workspace, 'rc')), 'the descendant has written nothing yet')
  const later = await (await openOutput(guestd, id, 'cursor=5&follow=true')).rest()
  matchExactly(t, later, [
    { type: 'start', id, cursor: 5 },
    { type: 'exit', exitCode: 0 },
    { type: 'output', stream: 'stdout', text: 'late\n', cursor: 10 },
    { type: 'output', stream: 'stderr', text: 'later\n', cursor: 16 },
    { type: 'end', cursor: 16, truncated: 0 },
  ])
  t.equal(readFileSync(join(guestd.workspace, 'rc'), 'utf8'), '0\n0\n', 'no write failed')
  // Its pipes are closed a moment before the last of them is gone.
  await until(async () => (await inspect(guestd, id)).descendants === 0)
  t.match(await inspect(guestd, id), { lateBytes: 11, cursor: 16 })
})

t.test('output before the exit comes before it, and the exit before the end', async t => {
  const { frames } = await run(guestd, { command: 'echo a; sleep 0.1; echo b >&2; exit 1' })
  const types = frames.map(frame => frame.type)
  t.same(types, ['start', 'output', 'output', 'exit', 'end'])
  t.same(
    frames.map(frame => frame.cursor),
    [0, 2, 4, 4, 4],
  )
})

t.test('what was written right before the exit is never lost', async t => {
  const RUNS = 1_000
  const AT_ONCE = 8
  let next = 0
  let wrong = 0
  let seed = 7
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  const worker = async () => {
    for (; next < RUNS; ) {
      next += 1
      // Up to beyond what a pipe holds, and many small ones.
      const length = random(4) === 0 ? random(400_000) : random(5_000)
      const script = `printf "%${length}s" >&2; printf "%${length}s"; exit 7`
      const outcome = await run(guestd, { command: length > 0 ? script : 'exit 7' })
      const { exit, end, stdout, stderr } = outcome
      const same = stdout.length === length && stderr.length === length
      const isReported =
        end.stdoutBytes === length && end.stderrBytes === length && exit.exitCode === 7
      if (!same || !isReported) wrong += 1
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  t.equal(wrong, 0)
})
