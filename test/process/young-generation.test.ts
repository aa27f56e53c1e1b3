import t from 'tap'
import { run, startGuestd, until } from '../helpers/guestd.ts'

const MIB = 1024 * 1024

/** Loaded before guestd: writes the size of V8's young generation to stderr again and again. */
const WATCH = `data:text/javascript,${encodeURIComponent(`
  import { getHeapSpaceStatistics } from 'node:v8'
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
    t.equal(await next(), 8 * MIB)
    for (let round = 0; round < 20; round++)
      await Promise.all(
        Array.from({ length: 20 }, () => run(guestd, { command: 'echo $RANDOM; seq 2000' })),
      )
    t.equal(await next(), 8 * MIB)
  },
)
