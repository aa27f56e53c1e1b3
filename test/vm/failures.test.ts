import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { startVm } from '../../vm/vm.ts'
import { until } from '../helpers/guestd.ts'

/** A host that is busy takes its time to end a process. */
const END_LIMIT_MS = 60_000
const OWNER = path.join(import.meta.dirname, 'fixtures', 'owner.ts')

t.setTimeout(5 * 60_000)

t.test('a machine that cannot boot is an error with the end of its console', async t => {
  const started = startVm({ kernelArgs: ['rdinit=/nowhere', 'root=/dev/nowhere'] })
  await t.rejects(started, {
    name: 'VmError',
    message: /guestd’s answer.*the program ended[\s\S]*Kernel panic/,
  })
})

t.test('guestd that does not answer in time is an error too', async t => {
  await t.rejects(startVm({ bootLimitMs: 200 }), { message: /not within 0.2 s/ })
  t.same(ownFolders(), [], 'its folder is gone')
})

t.test('a machine ends with the process that started it, even when that is killed', async t => {
  const { stdout, ...rest } = await promisify(execFile)(process.execPath, [OWNER]).catch(e => e)
  t.equal(rest.signal, 'SIGKILL')
  const pid = Number(stdout)
  t.ok(pid > 0, stdout)
  await until(() => !existsSync(`/proc/${pid}`), END_LIMIT_MS)
})

function ownFolders(): string[] {
  return readdirSync(tmpdir()).filter(name => name.startsWith(`guestd-vm-${process.pid}-`))
}
