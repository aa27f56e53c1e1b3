import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { O_PATH, statForeignFd } from '../../src/sys/foreign-fd.ts'
import { createMountIds } from '../../src/sys/mount-ids.ts'
import { mountDeafFuse } from '../helpers/fuse.ts'
import { makeScratch } from '../helpers/scratch.ts'

t.test('a descriptor that becomes one of a deaf FUSE is not asked', async t => {
  const at = join(makeScratch(t), 'deaf')
  mkdirSync(at)
  await mountDeafFuse(t, at)
  const fd = openSync(at, O_PATH)
  t.teardown(() => closeSync(fd))
  const pid = String(process.pid)
  const ids = createMountIds()
  const seen: string[] = []
  const stats = await statForeignFd(pid, String(fd), ids, ({ type }) => {
    seen.push(type)
    return type === 'devtmpfs'
  })
  t.equal(stats, null)
  t.equal(seen.length, 1)
  t.match(seen[0], /^fuse/, 'the mount of what is held decides')
})

t.test('the facts are those of the file, and there are none of what has gone', async t => {
  const fd = openSync('/dev/null', 'r')
  const pid = String(process.pid)
  const stats = await statForeignFd(pid, String(fd), createMountIds(), () => true)
  t.equal(stats?.isCharacterDevice(), true)
  closeSync(fd)
  t.equal(await statForeignFd(pid, '999999', createMountIds(), () => true), null)
})
