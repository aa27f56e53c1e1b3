import t from 'tap'
import { isRescue } from '../../../src/commands/rescue.ts'

const asUid = (uid: number) => ({
  self: { name: '', uid, gid: uid, groups: [], home: '', shell: '' },
})

t.test('root’s commands are kept apart where others run as another user', async t => {
  for (const user of ['agent', 1000, 65534]) {
    t.equal(isRescue({ uid: 0 }, { user }, asUid(0)), true, `${user}`)
    t.equal(isRescue({ uid: 1000 }, { user }, asUid(0)), false, `not those of ${user}`)
  }
  for (const user of [null, 'root', 0, '0', '0:0'])
    t.equal(isRescue({ uid: 0 }, { user }, asUid(0)), false, `all are root’s: ${user}`)
  t.equal(isRescue({ uid: 0 }, { user: 'agent' }, asUid(1000)), false, 'guestd is not root')
})
