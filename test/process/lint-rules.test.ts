import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { makeScratch } from '../helpers/scratch.ts'

const root = join(import.meta.dirname, '../..')
const BIOME = join(root, 'node_modules/.bin/biome')

/** The lines of the source in which the rule finds something. */
async function linesFound(dir: string, rule: string, source: string): Promise<number[]> {
  const plugins = [join(root, 'test/lint', rule)]
  writeFileSync(join(dir, 'biome.json'), JSON.stringify({ plugins }))
  writeFileSync(join(dir, 'some.test.ts'), source)
  const args = ['lint', '--only=plugin', '--reporter=github', '--max-diagnostics=none', '.']
  const ended = await promisify(execFile)(BIOME, args, { cwd: dir }).catch(error => error)
  const lines = String(ended.stdout).matchAll(/title=plugin,file=[^,]+,line=(\d+)/g)
  return [...lines].map(([, line]) => Number(line)).sort((a, b) => a - b)
}

t.test('patterns of t.match in which a list, null or "ready" is not exact are found', async t => {
  const source = `
    t.match(found, { errors: [] })
    t.match(found, { a: { b: null } }, 'message')
    t.match(
      found.list, [1])
    t.match(await session(), { state: 'ready' })
    t.rejects(call(), { field: null })
    t.throws(call, { list: [1, 2] }, 'message')
    t.match([1, null], { length: 2 })
    t.match(found, /pattern/)
    t.same(found, { errors: [], field: null })
    matchExactly(t, found, { errors: [], field: null, state: 'ready' })`
  t.same(await linesFound(makeScratch(t), 'exact-match.grit', source), [2, 3, 5, 6, 7, 8])
})
