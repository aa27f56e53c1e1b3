import { readFileSync } from 'node:fs'
import t from 'tap'
import { run, startGuestd, until } from '../helpers/guestd.ts'

const MIB = 1024 * 1024

/** Loaded before guestd: writes to stderr the size of V8's young generation, again and again, and each flag that is set. */
const WATCH = `data:text/javascript,${encodeURIComponent(`
  import v8, { getHeapSpaceStatistics } from 'node:v8'
  const setFlag = v8.setFlagsFromString
  v8.setFlagsFromString = flag => {
    console.error('FLAG ' + flag)
    setFlag(flag)
  }
  const size = () => getHeapSpaceStatistics().find(one => one.space_name === 'new_space').space_size
  setInterval(() => console.error('YOUNG ' + size() + '.'), 50).unref()
`)}`

t.test(
  'the young generation has 8 MiB from the start on, also under a load of short commands',
  async t => {
    const guestd = await startGuestd(t, { nodeArgs: ['--import', WATCH] })
    const sizes = () => [...guestd.log().matchAll(/YOUNG (\d+)\./g)].map(([, size]) => Number(size))
    const next = async () => {
      const before = sizes().length
      await until(() => sizes().length > before)
      return sizes().at(-1)
    }
    await until(() => sizes().at(-1) === 8 * MIB)
    for (let round = 0; round < 20; round++)
      await Promise.all(
        Array.from({ length: 20 }, () => run(guestd, { command: 'echo $RANDOM; seq 2000' })),
      )
    t.equal(await next(), 8 * MIB)
  },
)

t.test('memory is given back after 30 s without work', async t => {
  t.setTimeout(180_000)
  const guestd = await startGuestd(t, { nodeArgs: ['--import', WATCH] })
  const size = () => Number([...guestd.log().matchAll(/YOUNG (\d+)\./g)].at(-1)?.[1])
  const work = async () => {
    for (let round = 0; round < 20; round++)
      await Promise.all(Array.from({ length: 20 }, () => run(guestd, { command: 'seq 2000' })))
  }
  await work()
  const before = dirtyBytes(guestd.pid)
  // V8 shrinks the young generation by itself, too. The flag gives guestd its garbage collector.
  await until(() => guestd.log().includes('FLAG --expose-gc'), 120_000)
  await until(() => size() < 8 * MIB)
  await until(() => dirtyBytes(guestd.pid) < before - 4 * MIB)
  for (let round = 0; round < 3; round++) await work()
  t.ok(size() <= 8 * MIB, `${size()} bytes: V8 grows it no further`)
})

/** Private_Dirty of smaps_rollup, proc(5). */
function dirtyBytes(pid: number): number {
  const facts = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  return Number(/^Private_Dirty: +(\d+) kB$/m.exec(facts)?.[1]) * 1024
}
