/** The search for files that are deleted and still open. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { O_PATH } from '../../src/sys/foreign-fd.ts'
import { findDeletedOpen } from '../../src/workspace/deleted-open.ts'
import { holdFuse, mountDeafFuse } from '../helpers/fuse.ts'
import { makeScratch } from '../helpers/scratch.ts'

const LIMIT_MS = 60_000

t.setTimeout(120_000)

type Test = Parameters<typeof makeScratch>[0]

function open(t: Test, path: string, flags: number | string): number {
  const fd = openSync(path, flags)
  t.teardown(() => closeSync(fd))
  return fd
}

t.test('a deleted open file is found once, a file named "f (deleted)" never', async t => {
  const folder = makeScratch(t)
  const [gone, there] = ['gone', 'f (deleted)'].map(name => join(folder, name))
  for (const path of [gone, there]) writeFileSync(path ?? '', Buffer.alloc(8192, 1))
  const held = spawn('sleep', ['600'], {
    stdio: [open(t, gone ?? '', 'r'), open(t, gone ?? '', 'r'), open(t, there ?? '', 'r')],
  })
  t.teardown(() => held.kill('SIGKILL'))
  await once(held, 'spawn')
  rmSync(gone ?? '')
  const { complete, files } = await findDeletedOpen(folder, { fd: null, limitMs: LIMIT_MS })
  t.equal(complete, true)
  t.same(
    files.map(({ path, bytes }) => ({ path, bytes })),
    [{ path: gone, bytes: 8192 }],
  )
  const without = await findDeletedOpen(folder, { fd: null, limitMs: -1 })
  t.same(without, { complete: false, files: [] }, 'a search without time is incomplete')
})

t.test('a FUSE that does not answer keeps no search, whatever its folder is named', async t => {
  const at = join(makeScratch(t), 'f (deleted)')
  mkdirSync(at)
  await mountDeafFuse(t, at)
  await holdFuse(t, at)
  const fd = open(t, at, O_PATH)
  const answer = await findDeletedOpen(at, { fd, limitMs: LIMIT_MS })
  t.same(answer, { complete: true, files: [] })
})
