import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { run, startGuestd, until } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { killAll } from '../../helpers/processes.ts'
import { checkTargets } from './signal-targets.ts'
import { containmentOf, inspect, mark, remove, WITHOUT_CGROUPS } from './support.ts'
import { members, startTree, tree } from './trees.ts'

t.test('where there is no cgroup v2, the process group is what is killed', async t => {
  const bare = await startGuestd(t, { wrap: WITHOUT_CGROUPS, config: { killGraceMs: 400 } })
  matchExactly(t, await containmentOf(bare), { mode: 'group', path: null, limits: [] })

  await t.test('a tree that stays in the session is ended', async t => {
    const marked = mark(t)
    // With job control each part has a process group of its own.
    const script = tree('set -m', ...members, 'set +m', ...members)
    const stream = await startTree(bare, 'tree', script, marked)
    const { status, body } = await remove(bare, 'tree')
    t.equal(status, 200)
    t.same(body, { id: 'tree', empty: true, proof: 'group', moved: [] })
    t.same(marked.living(), [])
    const [exit, end] = (await stream.rest()).filter(frame => frame.type !== 'output')
    t.match(exit, { cause: 'killed', signal: 'SIGKILL' })
    t.match(end, { descendants: 0 })
    t.match(await inspect(bare, 'tree'), { proof: 'group' })
  })

  await t.test('processes that leave the session may survive', async t => {
    const { env, living } = mark(t)
    const command = 'setsid bash -c "echo up; exec sleep 1000" & wait'
    const stream = await openRun(bare, { id: 'leaves', command, env })
    await stream.seen('up')
    await until(() => living().length === 2)
    t.match((await remove(bare, 'leaves')).body, { empty: true, proof: 'group' })
    t.equal(living().length, 1, 'the proof is only of the group')
    killAll(living())
    await stream.rest()
  })

  await t.test('descendants are counted and outlive bash, unless background is kill', async t => {
    const { env, living } = mark(t)
    const kept = await run(bare, { id: 'kept', command: 'sleep 1000 & echo done', env })
    t.equal(kept.end.descendants, 1)
    t.equal(living().length, 1)
    t.match((await remove(bare, 'kept')).body, { empty: true, proof: 'group' })
    t.same(living(), [])
    const command = 'sleep 1000 & echo done'
    const swept = await run(bare, { command, env, background: 'kill' })
    t.equal(swept.end.descendants, 0)
    t.same(living(), [])
  })

  await t.test('at the time limit the whole group goes', async t => {
    const { env, living } = mark(t)
    const { exit } = await run(bare, {
      command: tree(...members),
      env,
      timeoutMs: 300,
    })
    t.match(exit, { cause: 'timeout' })
    await until(() => living().length === 0)
  })

  await t.test('signals go to the process or to the group', async t => {
    await checkTargets(bare, t, [
      ['process', ['leader']],
      ['group', ['leader', 'member']],
      ['cgroup', ['leader', 'member']],
    ])
  })
})
