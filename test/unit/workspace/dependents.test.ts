import t from 'tap'
import type { LoopDevice } from '../../../src/sys/loops.ts'
import type { Mount } from '../../../src/sys/mounts.ts'
import { dependentsOf, mountsOver, sharedOutside } from '../../../src/workspace/dependents.ts'

const VOLUME = '254:16'

let ids = 0
function mount(at: string, device: string, facts: Partial<Mount> = {}): Mount {
  ids += 1
  return {
    id: String(ids),
    parent: '0',
    device,
    at,
    type: 'ext4',
    source: 'none',
    readOnly: false,
    sharedIn: null,
    superOptions: ['rw'],
    learnsFrom: [],
    ...facts,
  }
}

const root = mount('/', '254:0')
const devices = mount('/dev', '0:5', { parent: root.id })
const own = mount('/ws', VOLUME, { parent: root.id })
const machine = [root, devices, own]

const placesOf = (mounts: readonly Mount[], loops: readonly LoopDevice[] = []) =>
  dependentsOf(VOLUME, '/ws', { mounts, loops, swaps: [] }).mounts.map(({ at }) => at)

t.test('a machine without any has none', async t => {
  t.same(dependentsOf(VOLUME, '/ws', { mounts: machine, loops: [], swaps: ['/swap'] }), {
    mounts: [],
    loops: [],
    swaps: [],
  })
  t.same(dependentsOf(VOLUME, '/ws', { mounts: [], loops: [], swaps: [] }).mounts, [])
})

t.test('mounts in it, over it, and of it elsewhere', async t => {
  const below = mount('/ws/t', '0:40', { parent: own.id })
  const inner = mount('/ws/t/in', '0:41', { parent: below.id })
  const bound = mount('/opt/a', VOLUME, { parent: root.id })
  const over = mount('/ws', '0:42', { parent: own.id })
  const beside = mount('/ws2', '0:43', { parent: root.id })
  const all = [...machine, below, inner, bound, over, beside]
  t.same(placesOf(all), ['/ws/t', '/ws/t/in', '/opt/a', '/ws'])
  const within = mount('/ws/deep', '0:44', { parent: over.id })
  t.same(mountsOver(VOLUME, '/ws', [...all, within]), [over, within])
})

t.test('what is bound from elsewhere is one mount, and keeps its others', async t => {
  const bound = mount('/ws/root', root.device, { parent: own.id })
  const boundDevices = mount('/ws/root/dev', devices.device, { parent: bound.id })
  t.same(placesOf([...machine, bound, boundDevices]), ['/ws/root', '/ws/root/dev'])
})

t.test('an overlay of folders in it, wherever it is mounted', async t => {
  const superOptions = ['rw', 'lowerdir=/usr:/opt', 'upperdir=/ws/a\\040b', 'workdir=/ws/w']
  const overlay = mount('/merged', '0:50', { parent: root.id, type: 'overlay', superOptions })
  const again = mount('/again', '0:50', { parent: root.id, type: 'overlay', superOptions })
  const other = mount('/other', '0:51', {
    parent: root.id,
    type: 'overlay',
    superOptions: ['lowerdir=/usr', 'upperdir=/wsx'],
  })
  t.same(placesOf([...machine, overlay, again, other]), ['/merged', '/again'])
})

t.test('loop devices of its files, also within each other, and what they have', async t => {
  const loop = (path: string, backing: string, ...numbers: string[]): LoopDevice => ({
    path,
    backing,
    file: '/file',
    parts: numbers.map(number => ({ number, path: '/dev/part', isLeaf: true, readOnly: false })),
  })
  const outer = loop('/dev/loop1', VOLUME, '7:1', '259:0')
  const inner = loop('/dev/loop2', '259:0', '7:2')
  const other = loop('/dev/loop3', '254:0', '7:3')
  const first = mount('/one', '259:0', { parent: root.id })
  const second = mount('/two', '7:2', { parent: root.id })
  const third = mount('/three', '7:3', { parent: root.id })
  const mounts = [...machine, second, first, third]
  const swaps = ['/dev/loop2', '/ws/swap', '/two/swap', '/swap', '/dev/loop3', '/dev/part']
  const found = dependentsOf(VOLUME, '/ws', { mounts, loops: [inner, other, outer], swaps })
  t.same(found.mounts, [second, first])
  t.same(found.loops, [outer, inner])
  t.same(found.swaps, ['/dev/loop2', '/ws/swap', '/two/swap', '/dev/part'])
  const tmpfs = mount('/ws/t', '0:60', { parent: own.id })
  const inMemory = loop('/dev/loop4', '0:60', '7:4')
  const fourth = mount('/four', '7:4', { parent: root.id })
  t.same(placesOf([...machine, tmpfs, fourth], [inMemory]), ['/ws/t', '/four'])
})

t.test('mounts that share theirs with one elsewhere are found', async t => {
  const shared = { ...root, sharedIn: '1' }
  const bound = mount('/ws/root', root.device, { parent: own.id, sharedIn: '1' })
  const alone = mount('/ws/t', '0:40', { parent: own.id, sharedIn: '9' })
  t.same(sharedOutside([bound, alone], [shared, devices, own, bound, alone]), [bound])
  const slave = { ...root, learnsFrom: ['1'] }
  t.same(sharedOutside([bound, alone], [slave, devices, own, bound, alone]), [bound])
})

t.test('of 100,000 mounts it takes those that it looks at', async t => {
  const many = Array.from({ length: 100_000 }, (_, n) =>
    mount(`/ws/${n}`, `0:${n}`, {
      parent: own.id,
      type: 'overlay',
      superOptions: ['lowerdir=/nowhere'],
    }),
  )
  t.ok(placesOf([...machine, ...many]).length < 5_000)
})
