import { execFileSync, spawnSync } from 'node:child_process'
import {
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { type Guestd, run, startGuestd, until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { infoOf, usageOf } from '../helpers/session.ts'
import { watchesOf } from './support.ts'

const MIB = 1024 * 1024

async function isFull(guestd: Guestd, full: 'bytes' | null): Promise<void> {
  await until(async () => (await usageOf(guestd))?.full === full)
}

async function refusal(guestd: Guestd, body: object = { command: 'true' }): Promise<string> {
  const reply = await guestd.request('POST', '/v1/commands', { body })
  return `${reply.status} ${reply.json().code}`
}

/** What du(1) says of all that is in a folder, the folder itself not counted. */
function du(path: string): readonly [bytes: number, inodes: number] {
  const read = (...options: string[]) =>
    Number.parseInt(execFileSync('du', ['-s', ...options, path], { encoding: 'utf8' }), 10)
  return [read('--block-size=1') - statSync(path).blocks * 512, read('--inodes') - 1]
}

t.test('past its cap a folder takes no commands but those that make room', async t => {
  const guestd = await startGuestd(t, { config: { workspaceCapBytes: MIB } })
  const { capEnforcement, enforcedFor } = (await infoOf(guestd)).workspace
  t.same([capEnforcement, enforcedFor], ['advisory', 'none'])
  const seen = join(guestd.workspace, 'seen')
  const filling = run(guestd, {
    command: 'head -c 2M /dev/zero > big; until [ -e seen ]; do sleep 0.1; done',
  })
  await isFull(guestd, 'bytes')
  writeFileSync(seen, '')
  t.equal((await filling).exit.workspaceFull, 'bytes')

  t.equal(await refusal(guestd, { id: 'again', command: 'true' }), '507 workspace_full')
  t.equal(await refusal(guestd, { command: 'true', cwd: '/' }), '507 workspace_full')
  const listed = (await guestd.request('GET', '/v1/commands')).json().commands
  t.equal((listed as unknown[]).length, 1, 'what is refused makes no command')
  const byHand = await guestctl(['run', '--', 'true'], guestd)
  t.equal(byHand.code, 125)
  t.match(byHand.err, /workspace_full.*--allow-over-cap/)
  t.notMatch(byHand.err, 'allowOverCap', 'the advice is printed once')

  const cleaned = await run(guestd, { command: 'rm big', allowOverCap: true })
  t.equal(cleaned.exit.workspaceFull, 'bytes', 'it was full when it began')
  const after = await run(guestd, { id: 'again', command: 'true' })
  matchExactly(t, after.exit, { exitCode: 0, workspaceFull: null })
  await isFull(guestd, null)
})

t.test('guestctl can ask for a command that makes room', async t => {
  const guestd = await startGuestd(t, { config: { workspaceCapBytes: MIB } })
  writeFileSync(join(guestd.workspace, 'big'), Buffer.alloc(2 * MIB))
  await isFull(guestd, 'bytes')
  const { code, err } = await guestctl(['run', '--allow-over-cap', '--', 'rm big'], guestd)
  t.same([code, err], [0, ''])
})

t.test(
  'who has made room is let in at once, and a repeated request is answered when full',
  async t => {
    const guestd = await startGuestd(t, { config: { workspaceCapBytes: MIB } })
    const big = join(guestd.workspace, 'big')
    await run(guestd, { id: 'before', command: 'echo before' })
    for (let round = 0; round < 3; round++) {
      writeFileSync(big, Buffer.alloc(2 * MIB))
      await isFull(guestd, 'bytes')
      t.equal(await refusal(guestd), '507 workspace_full')
      t.equal((await run(guestd, { id: 'before', command: 'echo before' })).stdout, 'before\n')
      rmSync(big)
      t.equal((await run(guestd, { command: 'true' })).exit.exitCode, 0)
    }
  },
)

t.test('a guestd that starts on a full folder knows it before the first command', async t => {
  const guestd = await startGuestd(t, { config: { workspaceCapBytes: MIB } })
  await guestd.stop()
  writeFileSync(join(guestd.workspace, 'big'), Buffer.alloc(2 * MIB))
  await guestd.start()
  t.equal(await refusal(guestd), '507 workspace_full')
})

t.test('80, 90 and 100 % are logged, and also that there is room again', async t => {
  const guestd = await startGuestd(t, { config: { workspaceCapBytes: 10 * MIB } })
  const loggedPercents = () =>
    guestd
      .log()
      .split('\n')
      .filter(line => /"the workspace (fills up|has room again)"/.test(line))
      .map(line => JSON.parse(line).percent)
  const levels = [
    [8.5, 80],
    [9.5, 90],
    [10, 100],
    [1, 0],
  ] as const
  for (const [mib, percent] of levels) {
    // The folder holds no less meanwhile.
    writeFileSync(join(guestd.dir, 'data'), Buffer.alloc(mib * MIB))
    renameSync(join(guestd.dir, 'data'), join(guestd.workspace, 'data'))
    await until(() => loggedPercents().includes(percent))
  }
  t.same(loggedPercents(), [80, 90, 100, 0])
})

t.test('a cap of 0 means no cap', async t => {
  const guestd = await startGuestd(t, { config: { workspaceCapBytes: 0 } })
  await run(guestd, { command: 'head -c 2M /dev/zero > big' })
  matchExactly(t, (await infoOf(guestd)).workspace, {
    ok: true,
    capEnforcement: 'none',
    usage: null,
  })
  const { out } = await guestctl(['status'], guestd)
  t.match(out, /\nCap: +none\n/)
  t.notMatch(out, /Used:|Generation:|Resumed:/)
})

/** Deeper than one process may have open files, and than a path may be long. */
const DEEP = `
import os, sys
os.chdir(sys.argv[1])
for _ in range(2500):
    os.mkdir('d')
    os.chdir('d')
open('end', 'wb').write(bytes(100_000))
`

t.test('usage is what du(1) counts: blocks, and a file with several names once', async t => {
  const guestd = await startGuestd(t)
  const at = (name: string) => join(guestd.workspace, name)
  const outside = makeScratch(t)
  writeFileSync(join(outside, 'not-ours'), Buffer.alloc(3 * MIB))
  mkdirSync(at('a/b\nc'), { recursive: true })
  writeFileSync(at('a/b\nc/file'), Buffer.alloc(MIB))
  linkSync(at('a/b\nc/file'), at('second'))
  linkSync(at('a/b\nc/file'), at('a/third'))
  // Of a file whose other name is elsewhere all counts.
  linkSync(join(outside, 'not-ours'), at('shared'))
  symlinkSync(outside, at('link'))
  symlinkSync('.', at('a/loop'))
  execFileSync('truncate', ['-s', '1T', at('sparse')])
  execFileSync('mkfifo', [at('fifo')])
  execFileSync('python3', ['-c', DEEP, at('.')])
  const [bytes, inodes] = du(guestd.workspace)
  t.ok(bytes > 4 * MIB && bytes < 20 * MIB, `${bytes} bytes`)
  await until(async () => (await usageOf(guestd))?.usedInodes === inodes)
  const usage = await usageOf(guestd)
  matchExactly(t, usage, {
    usedBytes: bytes,
    usedInodes: inodes,
    capBytes: 1024 * MIB,
    availableBytes: 1024 * MIB - bytes,
    availableInodes: null,
    full: null,
  })
  t.ok(Date.parse(usage?.at ?? '') <= Date.now())
  // Too deep for rm(1) with paths.
  execFileSync('find', [at('d'), '-delete'])
})

t.test('what is mounted in the folder does not count', async t => {
  const guestd = await startGuestd(t)
  const outside = makeScratch(t)
  writeFileSync(join(outside, 'file'), Buffer.alloc(5 * MIB))
  for (const [name, ...options] of [
    ['tmpfs', '-t', 'tmpfs', 'none'],
    ['bind', '--bind', outside],
  ]) {
    const place = join(guestd.workspace, name ?? '')
    mkdirSync(place)
    execFileSync('mount', [...options, place])
    t.teardown(() => spawnSync('umount', [place]))
  }
  writeFileSync(join(guestd.workspace, 'tmpfs/file'), Buffer.alloc(5 * MIB))
  writeFileSync(join(guestd.workspace, 'file'), Buffer.alloc(MIB))
  await until(async () => ((await usageOf(guestd))?.usedBytes ?? 0) >= MIB)
  t.match(await usageOf(guestd), { usedBytes: MIB, usedInodes: 1 })
})

t.test('without inotify watches the folder is walked, and that is logged once', async t => {
  const limited = 'echo 3 > /proc/sys/user/max_inotify_watches; exec "$@"'
  const guestd = await startGuestd(t, {
    wrap: ['unshare', '--user', '--map-root-user', 'sh', '-c', limited, 'sh'],
  })
  for (let i = 0; i < 20; i++) mkdirSync(join(guestd.workspace, `folder-${i}`))
  await until(() => guestd.log().includes('cannot be watched'))
  // chokidar closes those of its watches that it was adding at that moment a little later.
  await until(() => watchesOf(guestd.pid) === 0)
  writeFileSync(join(guestd.workspace, 'file'), Buffer.alloc(MIB))
  await until(async () => ((await usageOf(guestd))?.usedBytes ?? 0) >= MIB)
  t.equal(guestd.log().split('cannot be watched').length, 2)
  t.equal(watchesOf(guestd.pid), 0, 'none is added later')
})
