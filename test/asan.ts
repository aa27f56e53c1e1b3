/**
 * Tests of the C code under sanitizers. Tests of real commands run against a daemon whose addon and helper are built with
 * AddressSanitizer and UndefinedBehaviorSanitizer: a finding ends the daemon with a report, and with it the test.
 * The tests in `sanitizers/` add ThreadSanitizer, memory that runs out, and each verb of the helper.
 */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { buildSanitized, DIST, gccFile } from './sanitizers/build.ts'

const root = join(import.meta.dirname, '..')
/** What launches, ends, kills and feeds commands: every path through the addon outside of vsock. */
const names = [
  ...['isolation', 'ends', 'ends-spawn', 'ends-output', 'kill', 'signal', 'stdin', 'daemon-crash'],
  ...['back-pressure', 'faults', 'stdio-user', 'orphans', 'traced', 'moved', 'crowded'],
  ...['interpreter', 'users'],
]
const tests = [
  ...names.map(name => `test/process/commands/${name}.test.ts`),
  'test/process/service-manager.test.ts',
  'test/storage/mount.test.ts',
  'test/storage/busy.test.ts',
  'test/storage/mark.test.ts',
  'test/storage/hostile-names.test.ts',
  ...globSync('test/sanitizers/*.test.ts', { cwd: root }),
]

buildSanitized()
// Arguments name the test files to run, instead of all.
const wanted = process.argv.length > 2 ? process.argv.slice(2) : tests
const { status } = spawnSync('tap', ['--reporter=tap', ...wanted], {
  cwd: root,
  stdio: 'inherit',
  env: {
    ...process.env,
    GUESTD_TEST_DIST: DIST,
    GUESTD_TEST_PRELOAD: gccFile('libasan.so'),
  },
})
process.exitCode = status ?? 1
