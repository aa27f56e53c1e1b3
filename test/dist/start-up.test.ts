/** What the daemon loads before it serves. */

import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'

const GUESTD = join(import.meta.dirname, '../../dist/guestd.js')
/** Prints the names of the built-in modules that were loaded by the end. */
const LIST = `data:text/javascript,process.once('exit', () =>
  console.error(JSON.stringify(process.moduleLoadList)))`

t.test('guestd loads no server but that of plain HTTP', async t => {
  const args = ['--import', LIST, GUESTD, '--check']
  const { stderr } = await execa(process.execPath, args, { extendEnv: false })
  const modules: string[] = JSON.parse(stderr).filter((name: string) => / (http|tls)/.test(name))
  t.ok(modules.includes('NativeModule http'))
  t.same(
    modules.filter(name => /NativeModule (https|http2|tls)$/.test(name)),
    [],
  )
})
