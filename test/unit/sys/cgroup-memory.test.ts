import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createContainment } from '../../../src/commands/containment.ts'
import { memoryPeak, oomScope } from '../../../src/sys/cgroup.ts'

/** The files of a cgroup with the memory controller, as the kernel writes them. */
function cgroup(events: Readonly<Record<string, number>>): string {
  const path = mkdtempSync(join(tmpdir(), 'guestd-cgroup-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  const all = { low: 0, high: 0, max: 0, oom: 0, oom_kill: 0, oom_group_kill: 0, ...events }
  const lines = Object.entries(all).map(([name, value]) => `${name} ${value}\n`)
  writeFileSync(join(path, 'memory.events'), lines.join(''))
  writeFileSync(join(path, 'memory.peak'), '104857600\n')
  return path
}

t.test('the limit of a command and the memory of the machine differ', t => {
  t.equal(oomScope(cgroup({ max: 90, oom: 1, oom_kill: 3, oom_group_kill: 1 })), 'command')
  t.equal(oomScope(cgroup({ oom_kill: 1 })), 'machine')
  t.equal(oomScope(cgroup({ max: 90 })), null, 'a limit that was reached has ended nothing')
  t.equal(oomScope(cgroup({ oom: 1 })), null)
  t.equal(oomScope('/no/such/cgroup'), null)
  t.end()
})

t.test('the peak is what the kernel counts, and not known without the controller', t => {
  t.equal(memoryPeak(cgroup({})), 104_857_600)
  t.equal(memoryPeak('/no/such/cgroup'), null)
  t.end()
})

t.test('a command reads its peak only where leaves have one', t => {
  const commandsPath = cgroup({})
  const rescuePath = cgroup({})
  mkdirSync(join(commandsPath, 'command-a'))
  writeFileSync(join(commandsPath, 'command-a', 'memory.peak'), '4096\n')
  const peakBytes = (countsPeak: boolean) =>
    createContainment(
      { commandsPath, rescuePath, controllers: [], countsPeak },
      'a',
      false,
    ).peakBytes()
  t.equal(peakBytes(true), 4096)
  t.equal(peakBytes(false), null)
  t.end()
})
