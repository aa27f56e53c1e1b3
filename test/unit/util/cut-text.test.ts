import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { firstOf, lastOf } from '../../../src/util/cut-text.ts'

t.test('text is cut at most one code unit early, and never inside a surrogate pair', async t => {
  t.equal(firstOf('abc', 5), 'abc')
  t.equal(firstOf('abc', 2), 'ab')
  t.equal(firstOf('a😀b', 1), 'a')
  t.equal(firstOf('a😀b', 2), 'a')
  t.equal(firstOf('a😀b', 3), 'a😀')
  t.equal(firstOf('😀', 0), '')
  t.equal(lastOf('abc', 5), 'abc')
  t.equal(lastOf('abc', 2), 'bc')
  t.equal(lastOf('a😀b', 1), 'b')
  t.equal(lastOf('a😀b', 2), 'b')
  t.equal(lastOf('a😀b', 3), '😀b')
  t.equal(lastOf('😀', 0), '')
})

t.test('whatever text is cut wherever, well-formed text stays well-formed', async t => {
  const text = 'aé\u0300한😀👨‍👩‍👧 \u{10ffff}z'
  for (let max = 0; max <= text.length; max += 1) {
    for (const cut of [firstOf(text, max), lastOf(text, max)]) {
      t.ok(cut.isWellFormed(), `${max}: ${JSON.stringify(cut)}`)
      t.ok(cut.length <= max && cut.length >= max - 1, `${max}: ${cut.length}`)
    }
  }
})

t.test('no file of src/ cuts text at a limit by itself', async t => {
  const root = join(import.meta.dirname, '../../../src')
  const cut = /\.(?:slice|substring|substr)\([^)]*CHARACTERS/
  const found = globSync('**/*.ts', { cwd: root }).filter(path =>
    cut.test(readFileSync(join(root, path), 'utf8')),
  )
  t.same(found, [])
})
