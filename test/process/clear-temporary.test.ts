/** Temporary files that commands leave behind. */
import { execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { ClearedTemporary } from '../../src/client/index.ts'
import { HELPER_PROGRAM } from '../../src/sys/helper.ts'
import { run, startGuestd } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'

/** Users that no entry has, so that no process of the machine is theirs. */
const GONE = 48_163
const RUNS = 48_164
const STRANGER = 48_165
/** Above the descriptors that a process may have, and PATH_MAX with names of 16 bytes. */
const DEPTH = 3_000
/** The kernel's coarse clock advances by one tick, at most 10 ms: more than that. */
const TICK_MS = 50

const clear = (uids: readonly number[], ...folders: string[]) =>
  execFileSync(HELPER_PROGRAM, ['clear', uids.join(','), '60000', ...folders], { encoding: 'utf8' })

/** Files of a user as a command leaves them. */
function leave(folder: string, uid: number): void {
  const at = join(folder, `of-${uid}`)
  mkdirSync(join(at, 'below'), { recursive: true })
  for (const file of [join(folder, `file-${uid}`), join(at, 'file'), join(at, 'below/file')])
    writeFileSync(file, 'x'.repeat(8192))
  for (const path of [
    `file-${uid}`,
    `of-${uid}`,
    `of-${uid}/file`,
    `of-${uid}/below`,
    `of-${uid}/below/file`,
  ])
    chownSync(join(folder, path), uid, uid)
}

t.test('files of the named users go, those of all others stay', async t => {
  const folder = makeScratch(t)
  const other = spawn('sleep', ['1000'], { uid: RUNS, gid: RUNS, stdio: 'ignore' })
  t.teardown(() => other.kill('SIGKILL'))
  for (const uid of [0, GONE, RUNS, STRANGER]) leave(folder, uid)
  await sleep(TICK_MS)
  const [removed, bytes, kept] = clear([0, GONE, RUNS], folder).trim().split(' ').map(Number)
  t.same({ removed, kept }, { removed: 5, kept: 0 })
  t.ok(Number(bytes) >= 3 * 8192, `${bytes} bytes`)
  const left = [0, RUNS, STRANGER].flatMap(uid => [`file-${uid}`, `of-${uid}`])
  t.same(readdirSync(folder).sort(), left.sort())
  for (const uid of [0, RUNS, STRANGER])
    t.equal(readFileSync(join(folder, `of-${uid}/below/file`), 'utf8').length, 8192)
})

t.test('nothing outside of the folder is touched, however a tree is made', async t => {
  const [folder, outside] = [makeScratch(t), makeScratch(t)]
  writeFileSync(join(outside, 'target'), 'precious')
  mkdirSync(join(outside, 'folder'))
  writeFileSync(join(outside, 'folder/file'), 'precious')
  symlinkSync(join(outside, 'target'), join(folder, 'to-file'))
  symlinkSync(join(outside, 'folder'), join(folder, 'to-folder'))
  mkdirSync(join(folder, 'tree'))
  symlinkSync(outside, join(folder, 'tree/to-folder'))
  linkSync(join(outside, 'target'), join(folder, 'tree/link'))
  execFileSync('mkfifo', [join(folder, 'fifo')])
  mkdirSync(join(folder, 'closed'), { mode: 0o000 })
  const deep = `import os
os.chdir(${JSON.stringify(join(folder, 'tree'))})
for _ in range(${DEPTH}):
  os.mkdir("a-name-of-16byte"); os.chdir("a-name-of-16byte")
open("end", "w").close()`
  execFileSync('python3', ['-c', deep])
  for (const name of readdirSync(folder)) lchownSync(join(folder, name), GONE, GONE)
  chmodSync(join(folder, 'tree'), 0o777)
  await sleep(TICK_MS)
  const [removed, , kept] = clear([GONE], folder).trim().split(' ').map(Number)
  // Two links, a FIFO, two folders, and in the tree a link, a hard link, all levels and the file at the end.
  t.same({ removed, kept }, { removed: 5 + 2 + DEPTH + 1, kept: 0 })
  t.same(readdirSync(folder), [])
  t.equal(readFileSync(join(outside, 'target'), 'utf8'), 'precious')
  t.equal(readFileSync(join(outside, 'folder/file'), 'utf8'), 'precious')
})

t.test('what a call that was killed has moved away goes with the next one', async t => {
  const folder = makeScratch(t)
  mkdirSync(join(folder, '.guestd-clear-1/7'), { recursive: true, mode: 0o700 })
  writeFileSync(join(folder, '.guestd-clear-1/7/file'), 'x')
  t.equal(clear([GONE], folder).split(' ')[0], '3')
  t.same(readdirSync(folder), [])
})

t.test('at the end of its time it stops, and the next call continues', async t => {
  const folder = makeScratch(t)
  leave(folder, GONE)
  await sleep(TICK_MS)
  const late = execFileSync(HELPER_PROGRAM, ['clear', `${GONE}`, '0', folder], { encoding: 'utf8' })
  t.equal(late, '0 0 0\n')
  t.equal(readdirSync(folder).length, 2)
  t.equal(clear([GONE], folder).split(' ')[0], '5')
  t.same(readdirSync(folder), [])
})

t.test(
  'guestd clears for the users of its commands, and no folder above its workspace',
  async t => {
    const guestd = await startGuestd(t)
    const [inTmp, inMemory] = [`/tmp/guestd-of-${GONE}`, `/dev/shm/guestd-of-${GONE}`]
    t.teardown(() => {
      for (const path of [inTmp, inMemory]) rmSync(path, { force: true })
    })
    const command = `touch ${inTmp} ${inMemory}`
    t.equal((await run(guestd, { command, user: GONE, cwd: '/' })).exit.exitCode, 0)
    await sleep(TICK_MS)
    const reply = await guestd.request('POST', '/v1/session/clear-temporary')
    t.equal(reply.status, 200, reply.text)
    t.same([existsSync(inTmp), existsSync(inMemory)], [true, false])
    const { removed, kept } = reply.json() as unknown as ClearedTemporary
    t.ok(removed >= 1)
    t.ok(kept >= 1, 'the folder above the workspace')
  },
)

t.test('while a command runs guestd refuses', async t => {
  const guestd = await startGuestd(t)
  const body = { command: 'sleep 1000', detach: true }
  const { id } = (await guestd.request('POST', '/v1/commands', { body })).json()
  const refused = await guestd.request('POST', '/v1/session/clear-temporary')
  t.same({ status: refused.status, code: refused.json().code }, { status: 409, code: 'busy' })
  await guestd.request('DELETE', `/v1/commands/${id}`)
})
