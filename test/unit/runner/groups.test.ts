import { globSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { GROUPS } from '../../runner/groups.ts'

const root = path.join(import.meta.dirname, '../../..')

/** The test files of a group's commands, whose patterns are resolved. */
function filesOf(name: string): string[] {
  const { commands = [] } = GROUPS.find(group => group.name === name) ?? {}
  const patterns = commands.flat().filter(word => word.endsWith('.test.ts'))
  return patterns.flatMap(pattern => globSync(pattern, { cwd: root }))
}

t.test('every test file is in one group of `make test`', t => {
  const everyDay = GROUPS.filter(({ onlyByName }) => !onlyByName).map(({ name }) => name)
  // `test/asan.ts` runs the files of sanitizers/, all of them.
  const all = globSync('test/**/*.test.ts', { cwd: root, exclude: ['test/sanitizers/**'] })
  t.same(everyDay.flatMap(filesOf).sort(), all.sort())
  t.end()
})

t.test('machines begin with the longest files', t => {
  t.same(filesOf('vm').slice(0, 3), [
    'test/vm/life.test.ts',
    'test/vm/image-build.test.ts',
    'test/vm/real-work.test.ts',
  ])
  t.end()
})
