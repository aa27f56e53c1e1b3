import { closeSync, fstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createNotifier } from '../../src/sys/notify.ts'
import { openNotifySocket } from '../helpers/notify-socket.ts'
import { makeScratch } from '../helpers/scratch.ts'

const LIMIT_MS = 30_000

t.test(
  'a descriptor is stored at the manager under its name, and removed by that name',
  async t => {
    const dir = makeScratch(t)
    const address = join(dir, 'notify')
    const manager = await openNotifySocket(t, address)
    const notifier = createNotifier(address, errno => t.fail(errno))
    const fd = openSync(dir, 'r')
    t.ok(notifier.storeFd('workspace', fd))
    const { inodes, values } = await manager.heard(notice => 'FDSTORE' in notice.values)
    t.same(inodes, [fstatSync(fd).ino])
    t.same(values, { FDSTORE: '1', FDNAME: 'workspace', FDPOLL: '0' })
    closeSync(fd)
    notifier.dropFd('workspace')
    const dropped = await manager.heard(notice => 'FDSTOREREMOVE' in notice.values)
    t.same(dropped.values, { FDSTOREREMOVE: '1', FDNAME: 'workspace' })
  },
)

t.test('a barrier resolves once the manager has read what came before it', async t => {
  const address = join(makeScratch(t), 'notify')
  const manager = await openNotifySocket(t, address)
  const notifier = createNotifier(address, errno => t.fail(errno))
  manager.process.kill('SIGSTOP')
  notifier.send({ STATUS: 'before' })
  t.equal(await notifier.barrier(1), false, 'it has not read yet')
  const passed = notifier.barrier(LIMIT_MS)
  manager.process.kill('SIGCONT')
  t.equal(await passed, true)
  await manager.heard(({ values }) => values.STATUS === 'before')
})

t.test('a value is one line of bounded length', async t => {
  const address = join(makeScratch(t), 'notify')
  const manager = await openNotifySocket(t, address)
  const notifier = createNotifier(address, errno => t.fail(errno))
  notifier.send({ STATUS: `a\nSTOPPING=1\r\n${'é'.repeat(5_000)}`, READY: '1' })
  const { values } = await manager.heard(notice => notice.values.READY === '1')
  t.same(Object.keys(values), ['STATUS', 'READY'])
  t.match(values.STATUS, /^a STOPPING=1 éé/)
  t.ok((values.STATUS?.length ?? 0) < 1_000)
})

t.test('without a manager nothing is sent and nothing fails', async t => {
  const notifier = createNotifier(null, errno => t.fail(errno))
  t.equal(notifier.present, false)
  notifier.send({ READY: '1' })
  notifier.dropFd('workspace')
  t.equal(notifier.storeFd('workspace', 0), false)
  t.equal(await notifier.barrier(LIMIT_MS), false)
})

t.test('an invalid address fails once, and without an exception', async t => {
  for (const address of [`/${'x'.repeat(107)}`, `@${'é'.repeat(60)}`, '/dev/null', '']) {
    const errors: string[] = []
    const notifier = createNotifier(address, errno => errors.push(errno))
    notifier.send({ READY: '1' })
    notifier.send({ STATUS: 'again' })
    t.equal(notifier.storeFd('workspace', 0), false)
    t.equal(errors.length, 1, `${address}: ${errors}`)
  }
})
