import t from 'tap'
import {
  addSums,
  createFileReader,
  type FileResult,
  singleSum,
  tapSum,
} from '../../runner/tap-output.ts'

const OUTPUT = `TAP version 14
# Subtest: test/a.test.ts
    ok 1 - inner # time=99999ms
    1..1
ok 1 - test/a.test.ts # time=1234.5ms

not ok 2 - test/b.test.ts # time=20ms
  ---
  exitCode: 1
  ...

ok 3 - test/c.test.ts # SKIP no reason

1..3
# { total: 7, pass: 4, fail: 1, skip: 2 }`.split('\n')

t.test('each file has its result, its time and what it printed', async t => {
  const files: FileResult[] = []
  const read = createFileReader(file => files.push(file))
  for (const line of OUTPUT) read(line)
  const [a, b, c, ...others] = files
  t.same(others, [])
  t.same(a, { name: 'test/a.test.ts', ok: true, seconds: 1.2345, lines: OUTPUT.slice(0, 5) })
  t.same(b, { name: 'test/b.test.ts', ok: false, seconds: 0.02, lines: OUTPUT.slice(5, 7) })
  t.same([c?.name, c?.ok, c?.seconds], ['test/c.test.ts', true, null])
})

t.test('a file is emitted with its own result, before the next one begins', async t => {
  const names: string[] = []
  const read = createFileReader(({ name }) => names.push(name))
  for (const line of OUTPUT.slice(0, 4)) read(line)
  t.same(names, [])
  for (const line of OUTPUT.slice(4, 6)) read(line)
  t.same(names, ['test/a.test.ts'])
})

t.test('skipped tests count as failed, and so does a run without any test', async t => {
  t.same(tapSum(OUTPUT, 1), { passed: 4, failed: 3 })
  t.same(tapSum(['# { total: 5, pass: 5 }'], 0), { passed: 5, failed: 0 })
  t.same(tapSum(['# { total: 5, pass: 5 }'], 1), { passed: 5, failed: 1 })
  t.same(tapSum([], 0), { passed: 0, failed: 1 })
})

t.test('a tool that counts nothing is one test', async t => {
  t.same(
    [singleSum(0), singleSum(1), singleSum(null)].map(({ failed }) => failed),
    [0, 1, 1],
  )
  t.same(addSums([singleSum(0), singleSum(2), tapSum(OUTPUT, 1)]), { passed: 5, failed: 4 })
})
