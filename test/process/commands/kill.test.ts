import { existsSync, readdirSync } from 'node:fs'
import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { run, startGuestd, until } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { containmentOf, inspect, mark, remove } from './support.ts'
import { escaped, members, startTree, tree } from './trees.ts'

const guestd = await startGuestd(t)
const { path } = await containmentOf(guestd)

t.test('DELETE ends a tree of all kinds, and answers only when it is empty', async t => {
  for (let round = 0; round < 5; round++) {
    const marked = mark(t)
    const id = `tree-${round}`
    const script = tree(...members, ...escaped)
    const stream = await startTree(guestd, id, script, marked)
    const { status, body } = await remove(guestd, id)
    t.same(marked.living(), [], 'no process is left at the reply')
    t.equal(status, 200)
    t.same(body, { id, empty: true, proof: 'cgroup', moved: [] })
    const [exit, end] = (await stream.rest()).filter(frame => frame.type !== 'output')
    matchExactly(t, exit, { type: 'exit', cause: 'killed', signal: 'SIGKILL', exitCode: null })
    t.match(end, { type: 'end', descendants: 0 })
    t.match(await inspect(guestd, id), { state: 'ended', proof: 'cgroup', descendants: 0 })
  }
  t.ok(existsSync(path ?? ''))
  t.same(
    readdirSync(path ?? '').filter(name => name.startsWith('command-tree')),
    [],
    'and no cgroup is left behind',
  )
})

t.test('DELETE ends a tree that spreads over cgroups that it made itself', async t => {
  const { env, living } = mark(t)
  const leaf = `${path}/command-nested`
  const command = [
    `mkdir -p ${leaf}/a/b`,
    `(echo $BASHPID > ${leaf}/a/b/cgroup.procs; exec sleep 1000) &`,
    `(echo $BASHPID > ${leaf}/a/cgroup.procs; exec sleep 1000) &`,
    'echo up; wait',
  ].join('\n')
  const stream = await openRun(guestd, { id: 'nested', command, env })
  await stream.seen('up')
  await until(() => living().length === 3)
  t.match((await remove(guestd, 'nested')).body, { empty: true, proof: 'cgroup' })
  t.same(living(), [])
  await stream.rest()
  t.notOk(existsSync(leaf))
})

t.test('DELETE of what has ended ends its descendants, and keeps what it ended with', async t => {
  const { env, living } = mark(t)
  const { frames } = await run(guestd, { id: 'gone', command: 'sleep 1000 & exit 5', env })
  t.match(frames.at(-1), { descendants: 1 })
  t.match((await remove(guestd, 'gone')).body, { id: 'gone', empty: true })
  t.same(living(), [])
  t.match(await inspect(guestd, 'gone'), { cause: 'exit', exitCode: 5 })
  t.match(await remove(guestd, 'gone'), { status: 200, body: { id: 'gone', empty: true } })
})

t.test('DELETE asked for by several at once answers each of them', async t => {
  const { env, living } = mark(t)
  const stream = await openRun(guestd, { id: 'many', command: tree(...members), env })
  await stream.seen('up')
  const replies = await Promise.all(Array.from({ length: 5 }, () => remove(guestd, 'many')))
  for (const reply of replies) t.match(reply, { status: 200, body: { empty: true } })
  t.same(living(), [])
})

t.test('DELETE during the launch leaves no process either', async t => {
  const ROUNDS = 40
  let inTime = 0
  for (let round = 0; round < ROUNDS; round++) {
    const { env, living } = mark(t)
    const id = `early-${round}`
    const running = run(guestd, { id, argv: ['sleep', '1000'], env })
    let reply = await remove(guestd, id)
    while (reply.status === 404) reply = await remove(guestd, id)
    if (living().length > 0) t.fail(`round ${round}: alive after the answer`)
    const { exit, frames } = await running
    if (frames[0]?.pid === null) inTime += 1
    t.match(reply, { status: 200, body: { empty: true } })
    t.match(exit, { cause: 'killed' })
    t.same(living(), [])
  }
  t.comment(`${inTime} of ${ROUNDS} were never born`)
})

t.test('DELETE of an unknown id is 404', async t => {
  t.match(await remove(guestd, 'nobody-has-it'), {
    status: 404,
    body: { code: 'command_not_found' },
  })
})
