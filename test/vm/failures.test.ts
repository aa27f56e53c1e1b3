import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { startVm } from '../../rootfs/vm.ts'

/** A kernel without its root gives up within this, also on a busy host. */
const PANIC_LIMIT_MS = 60_000
const OWNER = path.join(import.meta.dirname, 'fixtures', 'owner.ts')

t.setTimeout(5 * 60_000)

t.test('a machine that cannot boot is an error with the end of its console', async t => {
  const started = startVm({ kernelArgs: ['rdinit=/nowhere', 'root=/dev/nowhere'] })
  const begun = performance.now()
  await t.rejects(started, {
    name: 'VmError',
    message: /guestd’s answer.*the program ended[\s\S]*Kernel panic/,
  })
  t.ok(performance.now() - begun < PANIC_LIMIT_MS, 'it does not wait for the limit')
})

t.test('guestd that does not answer in time is an error too', async t => {
  await t.rejects(startVm({ bootLimitMs: 200 }), { message: /not within 0.2 s/ })
  t.same(ownFolders(), [], 'its folder is gone')
})

t.test('a machine ends with the process that started it, even one that is killed', async t => {
  const { stdout, ...rest } = await promisify(execFile)(process.execPath, [OWNER]).catch(e => e)
  t.equal(rest.signal, 'SIGKILL')
  const pid = Number(stdout)
  t.ok(pid > 0, stdout)
  for (let i = 0; i < 50 && existsSync(`/proc/${pid}`); i += 1) await sleep(100)
  t.notOk(existsSync(`/proc/${pid}`), 'QEMU is gone')
})

function ownFolders(): string[] {
  return readdirSync(tmpdir()).filter(name => name.startsWith(`guestd-vm-${process.pid}-`))
}
