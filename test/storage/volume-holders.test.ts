import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findFileUsers } from '../../src/sys/file-users.ts'
import { unseenWords } from '../../src/volume/image-users.ts'
import { holdFuse, mountDeafFuse } from '../helpers/fuse.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { attach, makeMountPoint } from '../helpers/volume.ts'

t.test('inspect and check do not ask file systems that the volume is not on', async t => {
  const folder = makeScratch(t)
  const path = join(folder, 'v.img')
  t.equal((await guestctl(['volume', 'create', path, '--size', '16MiB'])).code, 0)
  const deaf = makeMountPoint(t)
  await mountDeafFuse(t, deaf)
  await holdFuse(t, deaf)
  // A loop device whose file is then behind a FUSE that does not answer.
  const hidden = join(folder, 'hidden')
  mkdirSync(hidden)
  const other = join(hidden, 'other.img')
  t.equal((await guestctl(['volume', 'create', other, '--size', '16MiB'])).code, 0)
  attach(t, other)
  await mountDeafFuse(t, hidden)
  for (const verb of ['inspect', 'check']) {
    const { code, err } = await guestctl(['volume', verb, path])
    t.same({ code, err }, { code: 0, err: '' }, verb)
  }
})

t.test('a loop device of the volume itself is still found', async t => {
  const path = join(makeScratch(t), 'v.img')
  t.equal((await guestctl(['volume', 'create', path, '--size', '16MiB'])).code, 0)
  const device = attach(t, path)
  const { code, err } = await guestctl(['volume', 'inspect', path])
  t.equal(code, 125)
  t.match(err, `${device} is a loop device of it`)
})

t.test('processes that the search did not come to in time are named', async t => {
  const path = join(makeScratch(t), 'v.img')
  await guestctl(['volume', 'create', path, '--size', '16MiB'])
  const unseen = new Set<number>()
  const users = await findFileUsers(path, { limitMs: -1, onUnseen: pid => unseen.add(pid) })
  t.same(users, [])
  t.ok(unseen.has(1), 'every process is one of them')
  t.notOk(unseen.has(process.pid))
  t.equal(
    unseenWords('/v.img', new Set([7])),
    '/v.img: could not inspect pid 7 in time, so whether it is in use is not known',
  )
  const many = new Set(Array.from({ length: 10 }, (_, pid) => pid))
  t.match(unseenWords('/v.img', many), 'could not inspect pid 0, 1, 2, 3, 4, 5, 6, 7 and 2 more')
})
