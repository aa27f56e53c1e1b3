import t from 'tap'
import { codeOf, toCacheFile } from '../../../src/launcher/cache-file.ts'
import { compileDaemon } from '../../../src/launcher/daemon-bundle.ts'

const source = Buffer.from('(() => new Error("here").stack)')
const code = compileDaemon(source, 'recorded.cjs', null).createCachedData()

t.test('the code of a source comes back as it was', async t => {
  t.same(codeOf(toCacheFile(source, code), source), code)
  t.same(codeOf(toCacheFile(source, Buffer.of()), source), Buffer.of())
})

t.test('another source of the same length has no code', async t => {
  const other = Buffer.from(source)
  other.write('there', source.indexOf('here'))
  t.equal(codeOf(toCacheFile(source, code), other), null)
})

t.test('no byte can change, and none can be missing or added', async t => {
  const file = toCacheFile(source, code)
  for (let at = 0; at < file.length; at += 1) {
    const changed = Buffer.from(file)
    changed[at] = (file[at] ?? 0) ^ 1
    if (codeOf(changed, source) !== null) t.fail(`byte ${at} has changed`)
    if (codeOf(file.subarray(0, at), source) !== null) t.fail(`only ${at} bytes are there`)
  }
  t.equal(codeOf(Buffer.concat([file, Buffer.of(0)]), source), null)
})

t.test('stack traces name the loaded file, not the recorded one', async t => {
  const script = compileDaemon(source, '/usr/lib/guestd/loaded.cjs', code)
  t.equal(script.cachedDataRejected, false)
  const stack: string = script.runInThisContext()()
  t.match(stack, '/usr/lib/guestd/loaded.cjs:1:')
  t.notMatch(stack, 'recorded.cjs')
})
