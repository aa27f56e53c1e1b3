/** The memory of guestd while commands write without end, and no client reads. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Guestd, startGuestd } from '../../helpers/guestd.ts'
import { limitMemory } from '../../helpers/memory-cgroup.ts'
import { rssBytes } from '../../helpers/processes.ts'
import { detach, inspect, MIB, written } from './support.ts'

const RUN_MS = 4_000
/** What V8 keeps for young objects, 48 MiB, and a little. */
const GARBAGE_BYTES = 56 * MIB

async function writeEndlessly(on: Guestd, commands: number): Promise<string[]> {
  const ids = Array.from({ length: commands }, (_, index) => `endless-${index}`)
  for (const id of ids) await detach(on, { id, argv: ['yes', 'a line that is repeated'] })
  return ids
}

t.test('eight endless commands cost what their output may take, and little more', async t => {
  const output = { ringBytes: 8 * MIB, totalBytes: 32 * MIB }
  const guestd = await startGuestd(t, { config: { output } })
  const before = rssBytes(guestd.pid)
  const ids = await writeEndlessly(guestd, 8)
  let largest = 0
  for (const from = performance.now(); performance.now() - from < RUN_MS; await sleep(50))
    largest = Math.max(largest, rssBytes(guestd.pid))
  const grown = largest - before
  t.ok(grown < output.totalBytes + GARBAGE_BYTES, `guestd grew by ${Math.round(grown / MIB)} MiB`)
  let held = 0
  for (const id of ids) {
    const { cursor, firstCursor } = await inspect(guestd, id)
    held += Number(cursor) - Number(firstCursor)
  }
  t.ok(held <= output.totalBytes && held > output.totalBytes / 2, `${held} bytes are held`)
  for (const id of ids) await guestd.request('DELETE', `/v1/commands/${id}`)
})

t.test('guestd survives them in 256 MiB, with the settings as they come', async t => {
  const guestd = await startGuestd(t, { wrap: limitMemory(t, 256 * MIB) })
  t.match(guestd.log(), /output gets less than output.totalBytes/)
  const { pid } = guestd
  const ids = await writeEndlessly(guestd, 8)
  await sleep(RUN_MS)
  t.equal(guestd.pid, pid)
  t.ok((await written(guestd, 'endless-0')) > 16 * MIB)
  for (const id of ids) {
    const reply = await guestd.request('DELETE', `/v1/commands/${id}`)
    t.match(reply.json(), { empty: true })
  }
  t.equal(await guestd.stop(), 0)
})

t.test(
  'guestd survives many replies of one object in 256 MiB, and counts what they leave out',
  async t => {
    const guestd = await startGuestd(t, { wrap: limitMemory(t, 256 * MIB) })
    const { pid } = guestd
    const bytes = 3 * MIB
    // Escaped in JSON, each of these bytes takes six.
    const script = `head -c ${bytes} /dev/zero; head -c ${bytes} /dev/zero >&2; sleep 1`
    const replies = await Promise.all(
      Array.from({ length: 60 }, () =>
        guestd.request('POST', '/v1/commands', {
          headers: { accept: 'application/json' },
          body: { argv: ['bash', '-c', script] },
        }),
      ),
    )
    for (const reply of replies) {
      const { exitCode, stdout, stdoutCut, stderr, stderrCut } = reply.json()
      t.equal(exitCode, 0)
      t.equal(String(stdout).length + Number(stdoutCut), bytes)
      t.equal(String(stderr).length + Number(stderrCut), bytes)
    }
    t.equal(guestd.pid, pid)
    t.equal(await guestd.stop(), 0)
  },
)
