import { execFileSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createLog } from '../../src/log.ts'
import { createLogRing } from '../../src/log-ring.ts'
import { makeScratch } from '../helpers/scratch.ts'

const KIB = 1024

t.test('lines wait until the folder is there, and those of an earlier start stay', async t => {
  const folder = join(makeScratch(t), 'run')
  const path = join(folder, 'log.ndjson')
  const ring = createLogRing(folder)
  ring.write('first\n')
  mkdirSync(folder)
  ring.write('second\n')
  t.equal(readFileSync(path, 'utf8'), 'first\nsecond\n')
  t.equal(statSync(path).mode & 0o777, 0o600)
  createLogRing(folder).write('third\n')
  t.equal(readFileSync(path, 'utf8'), 'first\nsecond\nthird\n')
})

t.test('two files of 512 KiB at most have the last lines', async t => {
  const folder = makeScratch(t)
  const ring = createLogRing(folder)
  const line = (count: number) => `${String(count).padStart(KIB - 1)}\n`
  const count = 3_000
  for (let n = 0; n < count; n++) ring.write(line(n))
  const files = ['log.ndjson.old', 'log.ndjson'].map(name => join(folder, name))
  for (const file of files) t.ok(statSync(file).size <= 512 * KIB, `${statSync(file).size}`)
  const kept = files.map(file => readFileSync(file, 'utf8')).join('')
  t.ok(kept.length >= 512 * KIB, `${kept.length}`)
  const first = count - kept.length / KIB
  t.equal(kept, Array.from({ length: count - first }, (_, n) => line(first + n)).join(''))
})

t.test('what waits is bounded, and a long line is cut', async t => {
  const folder = join(makeScratch(t), 'run')
  const ring = createLogRing(folder)
  for (let n = 0; n < 1_000; n++) ring.write(`${'x'.repeat(KIB)}\n`)
  mkdirSync(folder)
  ring.write('y'.repeat(1024 * KIB))
  t.equal(statSync(join(folder, 'log.ndjson')).size, 64 * KIB)
})

t.test(
  'a folder that is deleted gets the file again, a link in its place is not followed',
  async t => {
    const folder = join(makeScratch(t), 'run')
    mkdirSync(folder)
    let now = performance.now()
    const clock = () => now
    const ring = createLogRing(folder, clock)
    ring.write('before\n')
    rmSync(folder, { recursive: true })
    mkdirSync(folder)
    now += 3_000
    ring.write('after\n')
    t.equal(readFileSync(join(folder, 'log.ndjson'), 'utf8'), 'after\n')
    rmSync(join(folder, 'log.ndjson'))
    const elsewhere = join(folder, 'elsewhere')
    symlinkSync(elsewhere, join(folder, 'log.ndjson'))
    now += 3_000
    ring.write('nowhere\n')
    t.notOk(existsSync(elsewhere))
  },
)

t.test('a FIFO in the place of the file is not waited for', async t => {
  const folder = makeScratch(t)
  const path = join(folder, 'log.ndjson')
  execFileSync('mkfifo', [path])
  const ring = createLogRing(folder)
  ring.write('first\n')
  rmSync(path)
  ring.write('second\n')
  t.equal(readFileSync(path, 'utf8'), 'first\nsecond\n')
})

t.test('the log writes each line to the ring too', async t => {
  const lines: string[] = []
  const fd = openSync('/dev/null', 'w')
  t.teardown(() => closeSync(fd))
  const log = createLog({ level: 'info', fd, ring: { write: line => void lines.push(line) } })
  log.child({ component: 'api' }).info({ count: 1 }, 'written')
  log.debug('not this one')
  t.equal(lines.length, 1)
  t.match(JSON.parse(lines[0] ?? ''), { level: 'info', component: 'api', count: 1, msg: 'written' })
})
