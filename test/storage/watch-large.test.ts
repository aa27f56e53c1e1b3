import { execFileSync } from 'node:child_process'
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startGuestd, until } from '../helpers/guestd.ts'
import { childrenOf, statusField } from '../helpers/processes.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { usageOf } from '../helpers/session.ts'
import { attach, makeImage, makeMountPoint, run } from '../helpers/volume.ts'
import { watchesOf } from './support.ts'

const FOLDERS = 200
const FILES = 200_000
/** chokidar would take hundreds of MiB for them. */
const LARGE_MIB = 40
const LIMIT_MS = 120_000

const peakMib = (pid: number) => Number.parseInt(statusField(pid, 'VmHWM'), 10) / 1024

/** Empty files, each folder with the same number. */
function makeFiles(path: string, folders: number, files: number): void {
  const script =
    'cd "$1"; for ((i = 0; i < $2; i++)); do mkdir d$i; seq -f "d$i/%.0f" $(($3 / $2)) | xargs touch; done'
  execFileSync('bash', ['-c', script, 'bash', path, String(folders), String(files)])
}

t.test('200,000 files cost the daemon no memory, no watches, and no answer', async t => {
  const small = await startGuestd(t)
  const device = attach(t, makeImage(t, { mib: 512, mkfs: ['-N', String(FILES * 1.5)] }))
  const workspace = makeMountPoint(t)
  run('mount', device, workspace)
  rmdirSync(join(workspace, 'lost+found'))
  makeFiles(workspace, FOLDERS, FILES)
  const large = await startGuestd(t, { config: { workspace } })
  await until(async () => (await usageOf(large))?.usedInodes === FILES + FOLDERS, LIMIT_MS)
  t.equal(watchesOf(large.pid), 0)

  // While one and the same walk goes on it answers again and again.
  await until(async () => {
    const [before] = childrenOf(large.pid)
    for (let i = 0; i < 10; i++) await large.request('GET', '/healthz')
    return before !== undefined && childrenOf(large.pid).includes(before)
  }, LIMIT_MS)

  writeFileSync(join(workspace, 'one-more'), '')
  await until(async () => (await usageOf(large))?.usedInodes === FILES + FOLDERS + 1, LIMIT_MS)
  for (let i = 0; i < 100; i++) await small.request('GET', '/healthz')
  const more = peakMib(large.pid) - peakMib(small.pid)
  t.ok(more < LARGE_MIB, `${more} MiB more than for an empty folder`)
})

t.test('what is mounted in a small folder is not watched', async t => {
  const guestd = await startGuestd(t, { config: { logLevel: 'debug' } })
  const place = join(guestd.workspace, 'tmpfs')
  mkdirSync(place)
  run('mount', '-t', 'tmpfs', 'none', place)
  t.teardown(() => run('umount', place))
  for (let i = 0; i < 100; i++) mkdirSync(join(place, `folder-${i}`))
  await until(() => watchesOf(guestd.pid) > 0)
  // The folders of a watch that had no bounds would be there by now.
  await sleep(1_000)
  t.ok(watchesOf(guestd.pid) <= 2, `${watchesOf(guestd.pid)} watches`)
})

t.test('a small folder with a large one bound into it is not watched', async t => {
  const large = makeScratch(t)
  makeFiles(large, 1_500, 3_000)
  const workspace = makeScratch(t)
  const place = join(workspace, 'bind')
  mkdirSync(place)
  run('mount', '--bind', large, place)
  t.teardown(() => run('umount', place))
  const guestd = await startGuestd(t, { config: { workspace, logLevel: 'debug' } })
  await until(() => guestd.log().includes('too large to be watched'), LIMIT_MS)
  await until(() => watchesOf(guestd.pid) === 0, LIMIT_MS)
  writeFileSync(join(workspace, 'file'), '')
  await until(async () => (await usageOf(guestd))?.usedInodes === 1, LIMIT_MS)
})

t.test('a folder is watched while it is small, and again when it has become small', async t => {
  const guestd = await startGuestd(t)
  mkdirSync(join(guestd.workspace, 'folder'))
  await until(() => watchesOf(guestd.pid) >= 2)
  makeFiles(guestd.workspace, 10, 3_000)
  await until(() => watchesOf(guestd.pid) === 0)
  await until(async () => (await usageOf(guestd))?.usedInodes === 3_011)
  execFileSync('bash', ['-c', 'rm -r "$1"/d*', 'bash', guestd.workspace])
  await until(() => watchesOf(guestd.pid) >= 2, LIMIT_MS)
  t.equal((await usageOf(guestd))?.usedInodes, 1)
})
