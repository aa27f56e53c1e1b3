import { spawnSync } from 'node:child_process'
import t from 'tap'
import { THREADS } from './build.ts'

const LAUNCHES = 300

t.test('ThreadSanitizer finds nothing in launches that run, fail and are abandoned at once', t => {
  const { status, stdout, stderr } = spawnSync(THREADS, [String(LAUNCHES)], {
    encoding: 'utf8',
    env: { TSAN_OPTIONS: 'halt_on_error=1 exitcode=66' },
  })
  t.equal(stderr, '')
  t.equal(status, 0)
  const numbers = [...stdout.matchAll(/\d+/g)].map(([text]) => Number(text))
  t.equal(numbers.length, 4, stdout)
  t.ok(
    numbers.every(number => number > 0),
    stdout,
  )
  t.equal(
    numbers.reduce((sum, number) => sum + number, 0),
    LAUNCHES,
    'each launch is reported once',
  )
  t.end()
})
