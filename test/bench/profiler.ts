/**
 * Loaded into guestd by `--import`, for `--profile DIR`: a CPU profile from its start to SIGTERM.
 * `node --cpu-prof` would write one only after an exit that guestd does not wait for.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { join } from 'node:path'

/** Of the samples, in microseconds: a command costs guestd some 1,000. */
const INTERVAL_US = 200

const folder = process.env.BENCH_PROFILE_DIR
if (folder !== undefined) {
  const session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.setSamplingInterval', { interval: INTERVAL_US })
  session.post('Profiler.start')
  process.prependOnceListener('SIGTERM', () => {
    session.post('Profiler.stop', (_error, { profile }) => {
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, `guestd-${process.pid}.cpuprofile`), JSON.stringify(profile))
    })
  })
}
