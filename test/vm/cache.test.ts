import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type CacheEntry, cached, cacheFolder } from '../../rootfs/cache.ts'
import { contentKey } from '../../rootfs/content-key.ts'
import { prune } from '../../rootfs/prune.ts'
import { acceleratorKey, chooseAccelerator } from '../../vm/accel.ts'

/** Every test has a cache folder of its own. */
t.beforeEach(t => {
  process.env.XDG_CACHE_HOME = t.testdir()
})

/** An entry whose content is a file, and how often it was built. */
function counted(key: string) {
  const state = { builds: 0 }
  const entry: CacheEntry = {
    kind: 'thing',
    key,
    build: async folder => {
      state.builds += 1
      await sleep(50)
      await writeFile(path.join(folder, 'file'), key)
    },
  }
  return { entry, state }
}

t.test('the cache folder is below XDG_CACHE_HOME, unless that is not absolute', async t => {
  process.env.XDG_CACHE_HOME = '/somewhere'
  t.equal(cacheFolder(), '/somewhere/guestd')
  process.env.XDG_CACHE_HOME = 'relative'
  t.equal(cacheFolder(), path.join(process.env.HOME ?? '', '.cache/guestd'))
})

t.test('an entry is built once, also when two want it at the same time', async t => {
  const { entry, state } = counted('a')
  const [one, two] = await Promise.all([cached(entry), cached(entry)])
  const three = await cached(entry)
  t.equal(state.builds, 1)
  t.same([two, three], [one, one])
  t.equal(await readFile(path.join(one, 'file'), 'utf8'), 'a')
  t.same(await readdir(cacheFolder()), ['thing-a'], 'no lock and nothing half-built is left')
})

t.test('a build that fails leaves nothing, and the next one succeeds', async t => {
  const { entry, state } = counted('b')
  const failing = cached({ ...entry, build: () => Promise.reject(new Error('no space')) })
  await t.rejects(failing, { message: 'no space' })
  t.same(await readdir(cacheFolder()), [])
  await cached(entry)
  t.equal(state.builds, 1)
})

t.test('an entry that is not whole is built again, once', async t => {
  const { entry, state } = counted('c')
  const isWhole = async (folder: string) =>
    (await readFile(path.join(folder, 'file'), 'utf8')) === 'c'
  const folder = await cached({ ...entry, isWhole })
  await cached({ ...entry, isWhole })
  t.equal(state.builds, 1, 'a whole one is used again')
  await writeFile(path.join(folder, 'file'), 'cut')
  await Promise.all([cached({ ...entry, isWhole }), cached({ ...entry, isWhole })])
  t.equal(state.builds, 2)
  t.equal(await readFile(path.join(folder, 'file'), 'utf8'), 'c')
  t.same(await readdir(cacheFolder()), ['thing-c'])
})

t.test('whether KVM works is tried once, unless the environment says it', async t => {
  const asked = process.env.GUESTD_VM_ACCEL
  t.teardown(() => {
    if (asked === undefined) delete process.env.GUESTD_VM_ACCEL
    else process.env.GUESTD_VM_ACCEL = asked
  })
  delete process.env.GUESTD_VM_ACCEL
  for (const answer of ['kvm', 'tcg']) {
    process.env.XDG_CACHE_HOME = t.testdir({ [answer]: {} })
    await cached({
      kind: 'accelerator',
      key: await acceleratorKey(),
      build: folder => writeFile(path.join(folder, answer), ''),
    })
    t.equal(await chooseAccelerator('/no/kernel'), answer)
  }
  process.env.GUESTD_VM_ACCEL = 'kvm'
  t.equal(await chooseAccelerator('/no/kernel'), 'kvm')
})

t.test('only old entries are pruned: the least recently used of that kind', async t => {
  for (const key of ['1', '2', '3', '4', '5', '6']) await cached(counted(key).entry)
  await cached({ ...counted('1').entry, kind: 'other' })
  t.equal((await readdir(cacheFolder())).length, 7, 'young entries all stay')
  for (const [hours, key] of ['6', '1', '4', '3', '5', '2'].entries()) {
    const used = new Date(Date.now() - (hours + 2) * 60 * 60 * 1000)
    await utimes(path.join(cacheFolder(), `thing-${key}`), used, used)
  }
  await prune(cacheFolder(), 'thing', path.join(cacheFolder(), 'thing-2'))
  t.same((await readdir(cacheFolder())).sort(), ['other-1', 'thing-1', 'thing-2', 'thing-6'])
})

t.test('a key follows bytes, names, execute bits and links, not times', async t => {
  const folder = t.testdir({ a: { file: 'x', link: t.fixture('symlink', 'file') } })
  const file = path.join(folder, 'a/file')
  const key = () => contentKey(['word'], [path.join(folder, 'a')])
  const first = await key()
  await utimes(file, 1, 1)
  t.equal(await key(), first)
  await writeFile(file, 'y')
  t.not(await key(), first)
  t.not(await contentKey(['other'], [file]), await contentKey(['word'], [file]))
})
