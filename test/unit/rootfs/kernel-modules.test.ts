import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { modulesInOrder } from '../../../rootfs/kernel-modules.ts'

function makeLists(t: Test): string {
  const folder = path.join(t.testdir(), '6.1.0')
  mkdirSync(folder)
  const dep = [
    'kernel/drivers/virtio/virtio.ko:',
    'kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko',
    // What is needed first stands last.
    'kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko',
    'kernel/drivers/net/net-failover.ko:',
  ]
  writeFileSync(path.join(folder, 'modules.dep'), `${dep.join('\n')}\n`)
  writeFileSync(path.join(folder, 'modules.builtin'), 'kernel/fs/ext4/ext4.ko\n')
  return folder
}

t.test('each module comes after what it needs, and once', async t => {
  const files = await modulesInOrder(makeLists(t), ['virtio_blk', 'virtio_ring'])
  t.same(files, [
    'kernel/drivers/virtio/virtio.ko',
    'kernel/drivers/virtio/virtio_ring.ko',
    'kernel/drivers/block/virtio_blk.ko.xz',
  ])
})

t.test('a dash is an underscore, and what is built in has no file', async t => {
  t.same(await modulesInOrder(makeLists(t), ['net_failover', 'ext4']), [
    'kernel/drivers/net/net-failover.ko',
  ])
})

t.test('a missing kernel module is reported', async t => {
  await t.rejects(modulesInOrder(makeLists(t), ['floppy']), { message: /no module floppy/ })
})
