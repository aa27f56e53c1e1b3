import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { isGroupGone, newProcessTable, processTable } from '../../src/sys/process-table.ts'
import { until } from '../helpers/guestd.ts'
import { stateOf } from '../helpers/processes.ts'

t.test('the table has parent, group, session and start of a process', async t => {
  const child = spawn('setsid', ['sh', '-c', 'echo up; sleep 1000 & wait'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => process.kill(-(child.pid ?? 0), 'SIGKILL'))
  await once(child.stdout, 'data')
  const table = newProcessTable()
  const row = table?.processes.get(child.pid ?? 0)
  t.match(row, { parent: process.pid, group: child.pid, session: child.pid })
  t.ok((row?.startTime ?? 0) > 0)
  t.same(table?.groupsOf(child.pid ?? 0), [child.pid, child.pid])
})

t.test('many who ask at once get one table', t => {
  const tables = new Set(Array.from({ length: 1_000 }, () => processTable()))
  // A machine that is busy may stop this process for longer than a table is kept.
  t.ok(tables.size <= 2, `${tables.size} tables`)
  const later = performance.now()
  t.ok((processTable(later)?.takenAt ?? 0) > later, 'who needs a later one gets that')
  t.end()
})

t.test('zombies are not in the table, but a process of which one thread lives is', async t => {
  const script = `import ctypes, threading, time
threading.Thread(target=lambda: time.sleep(1000)).start()
print("up", flush=True)
ctypes.CDLL(None).pthread_exit(None)`
  const child = spawn('/usr/bin/python3', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  await until(() => stateOf(child.pid ?? 0) === 'Z')
  t.ok(newProcessTable()?.processes.has(child.pid ?? 0))
  const parent = spawn('perl', ['-e', '$| = 1; exit 0 if !($pid = fork); print $pid; sleep 1000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => parent.kill('SIGKILL'))
  const zombie = Number(String((await once(parent.stdout, 'data'))[0]))
  await until(() => stateOf(zombie) === 'Z')
  t.notOk(newProcessTable()?.processes.has(zombie))
})

t.test('a group is gone once none of its processes lives, and not before', async t => {
  const before = performance.now()
  const child = spawn('setsid', ['sleep', '1000'])
  await once(child, 'spawn')
  await until(() => (processTable(performance.now())?.groupsOf(child.pid ?? 0).length ?? 0) > 0)
  t.equal(isGroupGone(child.pid ?? 0, before), false)
  child.kill('SIGKILL')
  await once(child, 'exit')
  await until(() => isGroupGone(child.pid ?? 0, before))
})
