import t from 'tap'
import { planLaunch } from '../../../src/commands/plan.ts'
import { thrownBy } from '../../helpers/thrown-by.ts'

const self = { name: '48000', uid: 48_000, gid: 48_001, home: '/', shell: '/bin/sh', groups: [] }
const machine = { self, cgroups: null, nofileHard: 1024, oomScoreAdj: 0 }
const limits = { memoryBytes: null, pids: null, cpus: null, nofile: null }
const settings = { workspace: '/', user: null, allowRoot: true, env: {}, limits }
const plan = (user: string) => planLaunch({ argv: ['true'], user }, settings, machine)

const root = { ...self, name: 'root', uid: 0, gid: 0, home: '/root' }

t.test(
  'root starts in its home where commands are another user’s, all others in the workspace',
  async t => {
    const cwdOf = (own: typeof self, user: string | null, request: object) => {
      const given = { ...settings, workspace: '/mnt/workspace', user }
      return planLaunch({ argv: ['true'], ...request }, given, { ...machine, self: own }).cwd
    }
    for (const user of ['root', 0, '0', '0:4711']) {
      t.equal(cwdOf(root, 'nobody', { user }), '/root', String(user))
      t.equal(cwdOf(root, 'nobody', { user, cwd: 'sub' }), '/mnt/workspace/sub')
      t.equal(cwdOf(root, 'nobody', { user, cwd: '/srv' }), '/srv')
      t.equal(cwdOf(root, 'no-such-user', { user }), '/root')
      t.equal(cwdOf(root, 'root', { user }), '/mnt/workspace')
      t.equal(cwdOf(root, null, { user }), '/mnt/workspace')
    }
    t.equal(cwdOf(root, 'nobody', {}), '/mnt/workspace')
    t.equal(cwdOf(root, 'nobody', { user: '0:0', cwd: '.' }), '/mnt/workspace')
    t.equal(cwdOf(root, 'root', { user: 'nobody' }), '/mnt/workspace')
    t.equal(cwdOf(self, null, {}), '/mnt/workspace')
  },
)

t.test('a guestd that is not root refuses a group that it cannot give', async t => {
  t.match(plan('48000:48001'), { uid: 48_000, gid: 48_001 })
  for (const user of ['48000:48002', '48000:0']) {
    const thrown = thrownBy(() => plan(user))
    t.match(thrown, { code: 'user_not_allowed', message: /in group/ })
  }
})
