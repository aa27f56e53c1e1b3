import t from 'tap'
import { planLaunch } from '../../../src/commands/plan.ts'
import { thrownBy } from '../protocol/thrown-by.ts'

const self = { name: '48000', uid: 48_000, gid: 48_001, home: '/', shell: '/bin/sh', groups: [] }
const machine = { self, cgroups: null, nofileHard: 1024, oomScoreAdj: 0 }
const limits = { memoryBytes: null, pids: null, cpus: null, nofile: null }
const settings = { workspace: '/', user: null, allowRoot: true, env: {}, limits }
const plan = (user: string) => planLaunch({ argv: ['true'], user }, settings, machine)

t.test('a guestd that is not root refuses a group that it cannot give', async t => {
  t.match(plan('48000:48001'), { uid: 48_000, gid: 48_001 })
  for (const user of ['48000:48002', '48000:0']) {
    const thrown = thrownBy(() => plan(user))
    t.match(thrown, { code: 'user_not_allowed', message: /in group/ })
  }
})
