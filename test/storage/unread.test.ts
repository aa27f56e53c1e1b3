import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { HELPER_PROGRAM } from '../../src/sys/helper.ts'
import { run, startGuestd, type Teardown, until } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { usageOf } from '../helpers/session.ts'

const MIB = 1024 * 1024
const NOBODY = 65_534

function walk(path: string, uid = 0) {
  const printed = execFileSync(HELPER_PROGRAM, ['usage', path], { uid, gid: uid, encoding: 'utf8' })
  const [bytes, inodes, unread] = printed.split(' ').map(Number)
  return { bytes, inodes, unread }
}

/** Becomes guestd as nobody: root may read everything. */
const AS_NOBODY = `chown -R ${NOBODY}:${NOBODY} "$(dirname "\${@: -1}")"
exec setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups "$@"`

/** A FUSE mount of the user 1000 without a server. */
const FUSE = `
import ctypes, os, sys, time
fd = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fd},rootmode=40000,user_id=1000,group_id=1000'.encode()
if ctypes.CDLL(None, use_errno=True).mount(b'fuse', sys.argv[1].encode(), b'fuse', 0, options):
    sys.exit(os.strerror(ctypes.get_errno()))
print('mounted', flush=True)
time.sleep(1000)
`

/** Moves a folder 300 deep from one place to another and back, for as long as it lives. */
const MOVER = `
import os, sys
os.chdir(sys.argv[1])
os.mkdir('other')
path = 'a' + '/d' * 300
os.makedirs(path + '/d' * 300)
print('made', flush=True)
while True:
    os.rename(path, 'other/d')
    os.rename('other/d', path)
`

/** Resolves once it has said something. */
async function python(t: Teardown, script: string, path: string): Promise<void> {
  const child = spawn('python3', ['-c', script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', piece => {
    said += piece
  })
  t.teardown(() => child.kill('SIGKILL'))
  await until(() => said !== '')
}

t.test('entries that cannot be looked at do not hide the others', t => {
  const path = makeScratch(t)
  chmodSync(path, 0o755)
  mkdirSync(join(path, 'd'))
  writeFileSync(join(path, 'd/file'), Buffer.alloc(MIB))
  writeFileSync(join(path, 'seen'), Buffer.alloc(MIB))
  t.match(walk(path), { inodes: 3, unread: 0 })
  for (const mode of [0o604, 0o600]) {
    chmodSync(join(path, 'd'), mode)
    const walked = walk(path, NOBODY)
    t.match(walked, { inodes: 2, unread: 1 })
    t.ok(walked.bytes !== undefined && walked.bytes >= MIB && walked.bytes < 2 * MIB)
  }
  t.end()
})

t.test('a FUSE mount of another user is like other mounts, also for root', async t => {
  const path = makeScratch(t)
  const place = join(path, 'fuse')
  mkdirSync(place)
  writeFileSync(join(path, 'seen'), Buffer.alloc(MIB))
  await python(t, FUSE, place)
  t.teardown(() => spawnSync('umount', ['-l', place]))
  t.match(walk(path), { bytes: MIB, inodes: 1, unread: 0 })
})

t.test('a deep folder that is moved while it is walked costs only that branch', async t => {
  const path = makeScratch(t)
  writeFileSync(join(path, 'seen'), Buffer.alloc(MIB))
  await python(t, MOVER, path)
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 100; round++) {
    const { bytes = 0 } = walk(path)
    least = Math.min(least, bytes)
  }
  t.ok(least >= MIB, `${least} bytes`)
})

t.test('files that become unreadable do not count as free space', async t => {
  const guestd = await startGuestd(t, {
    config: { workspaceCapBytes: MIB },
    wrap: ['bash', '-c', AS_NOBODY, 'bash'],
  })
  const folder = join(guestd.workspace, 'd')
  mkdirSync(folder)
  chmodSync(folder, 0o755)
  writeFileSync(join(folder, 'big'), Buffer.alloc(2 * MIB))
  await until(async () => (await usageOf(guestd))?.full === 'bytes')
  chmodSync(folder, 0o700)
  await until(() => guestd.log().includes('cannot be read, and do not count'))
  const refused = await guestd.request('POST', '/v1/commands', { body: { command: 'true' } })
  t.match(refused.json(), { code: 'workspace_full', detail: /what cannot be read any more/ })
  t.match(await usageOf(guestd), { full: 'bytes' })
  rmSync(join(folder, 'big'))
  chmodSync(folder, 0o755)
  // A look is made for it.
  t.equal((await run(guestd, { command: 'true' })).exit.exitCode, 0)
})
