import { execFileSync } from 'node:child_process'
import { closeSync, createReadStream, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createLog } from '../../src/log.ts'
import { makeScratch } from '../helpers/scratch.ts'

/** More than waits in memory, and than a pipe holds. */
const LINES = 20_000

t.test('a line is JSON with its time, its level as a word and its component', async t => {
  const path = join(makeScratch(t), 'log')
  const fd = openSync(path, 'w')
  t.teardown(() => closeSync(fd))
  const log = createLog({ level: 'info', fd })
  log.child({ component: 'api' }).warn({ count: 1 }, 'careful')
  log.debug('below the level')
  await log.written()
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  t.equal(lines.length, 1)
  const { time, ...rest } = JSON.parse(lines[0] ?? '')
  t.equal(new Date(time).toISOString(), time)
  t.same(rest, { level: 'warn', component: 'api', count: 1, msg: 'careful' })
})

t.test('lines over the limit are dropped and counted while stdout is not read', async t => {
  const path = join(makeScratch(t), 'fifo')
  execFileSync('mkfifo', [path])
  const fd = openSync(path, 'r+')
  const log = createLog({ level: 'info', fd })
  for (let count = 0; count < LINES; count += 1) {
    log.info({ count, padding: 'x'.repeat(100) }, 'line')
    if (count % 100 === 0) await new Promise(resolve => setImmediate(resolve))
  }

  let text = ''
  const reader = createReadStream(path, { encoding: 'utf8' })
  t.teardown(() => {
    closeSync(fd)
    reader.destroy()
  })
  for await (const chunk of reader) {
    text += chunk
    if (text.includes('were dropped') && text.endsWith('\n')) break
  }
  const lines = text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  const written = lines.filter(line => line.msg === 'line').length
  const dropped = lines.find(line => line.component === 'log')
  t.ok(dropped.lines > 0)
  t.equal(written + dropped.lines, LINES)
})
