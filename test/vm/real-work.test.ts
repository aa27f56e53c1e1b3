import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { ensureModulesImage } from '../../rootfs/modules-image.ts'
import { startGuestctl } from '../helpers/guestctl.ts'
import { LONG } from '../helpers/long.ts'
import { mountDisk, openClient } from './ask.ts'
import { restoreGuest } from './harness.ts'

const REPOSITORY = join(import.meta.dirname, '../..')
/** Where the guest finds the installed packages, read-only. */
const MODULES = '/opt/node_modules'
/** Where the guest has guestd's own addon: a clone is not built there. */
const ADDON = '/usr/lib/guestd/guestd_native.node'
/** 128 + SIGSEGV. Node's compiled code crashes now and then where QEMU translates it: seen once. */
const NODE_CRASHED = 139
/** Above the 15 minutes that the command itself has. */
const LONG_MS = 20 * 60_000

const guest = await restoreGuest(t, {
  extraDisks: [{ file: await ensureModulesImage(), serial: 'modules', mode: 'ro' }],
})
t.setTimeout(LONG_MS)
t.comment(`guestd answered after ${(guest.bootMs / 1000).toFixed(1)} s`)
const client = openClient(t, guest)
await mountDisk(client, 'modules', MODULES)

const git = (...args: string[]) =>
  execFileSync('git', args, {
    cwd: REPOSITORY,
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
const head = git('rev-parse', 'HEAD').toString()
/** Under translation all unit tests take minutes: those of one room are enough work, but in the long form. */
const tests = git('ls-tree', '-r', '--name-only', 'HEAD', LONG ? 'test/unit' : 'test/unit/protocol')
  .toString()
  .split('\n')
  // Those of the image and of the machine need programs that a guest does not have.
  .filter(name => name.endsWith('.test.ts') && !/^test\/unit\/(rootfs|vm)\//.test(name))

/**
 * All in one process: what takes long under translation is the start of Node and of tap. One file
 * after the other: loading the next would hold up the timers of tests that still run.
 */
const RUNNER = `
import t from 'tap'
for (const file of process.argv.slice(1)) {
  await import(process.cwd() + '/' + file)
  await t.test('end of ' + file, async t => t.pass('all of it ran'))
}`
const runTests = (id: string, files: readonly string[]) => [
  // tap ends a process after 30 s by default.
  ...['run', '--id', id, '-C', 'clone', '-e', 'TAP_TIMEOUT=900', '--timeout', '15m'],
  ...['--', '/usr/lib/guestd/node', '--input-type=module', '--eval', RUNNER, ...files],
]

t.test('the repository goes in as a bundle and is cloned', async t => {
  const script = `
    set -e
    cat >bundle
    git clone --quiet -c advice.detachedHead=false bundle clone
    git -C clone rev-parse HEAD; git -C clone status --porcelain
    ln -s ${MODULES} clone/node_modules
    mkdir clone/dist
    ln -s ${ADDON} clone/dist/`
  const input = git('bundle', 'create', '-', 'HEAD')
  const { code, out, err } = await guest.guestctl(['run', '-i', '--', script], { input })
  t.match({ code, err }, { code: 0, err: '' })
  t.equal(out, head, 'the same commit, and nothing else')
})

t.test('its unit tests pass there, and their output is read while they run', async t => {
  t.ok(tests.length > 5, `${tests.length} files`)
  const began = performance.now()
  const runAll = async (id: string) => {
    const running = startGuestctl(runTests(id, tests), { connect: guest.connect })
    await running.untilOutput('ok 1 - ')
    t.match(await client.inspect(id), { state: 'running' })
    return await running.ended
  }
  let ended = await runAll('all')
  if (ended.code === NODE_CRASHED) {
    t.comment('Node crashed under translation: once more')
    ended = await runAll('again')
  }
  const { code, out, err } = ended
  t.comment(`${tests.length} files in ${((performance.now() - began) / 1000).toFixed(0)} s`)
  t.match({ code, err }, { code: 0, err: '' }, { out })
  const files = out.split('\n').flatMap(line => /^ok \d+ - end of (\S+)/.exec(line)?.[1] ?? [])
  t.same(files, tests)
  t.match(out, /^# \{ total: (\d+), pass: \1 \}$/m, 'none was skipped')
})

t.test('a broken test turns the exit code, and says what is wrong', async t => {
  const file = 'test/unit/protocol/utf8.test.ts'
  const breakIt = `cd clone && sed -i '0,/t\\.equal(/s//t.not(/' ${file} && git diff --stat`
  t.match((await guest.run(breakIt)).out, `${file} `)
  const { code, out } = await guest.guestctl(runTests('broken', [file]))
  t.equal(code, 1)
  t.match(out, /^not ok \d+ - /m)
  t.match(out, /fail: [1-9]/)
  await guest.run('cd clone && git checkout --quiet .')
  t.equal((await guest.guestctl(runTests('restored', [file]))).code, 0, 'and restored it passes')
})
