/** SysV objects that commands leave behind. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { run, until } from '../../helpers/guestd.ts'
import { startForOther } from './support.ts'

/** Users that no entry has, so that nothing else of the machine is theirs. */
const IDLE = 48_161
const BUSY = 48_162
const LIMIT_MS = 30_000
const MAKE = 'ipcmk --shmem 65536 --queue --semaphore 2'

const guestd = await startForOther(t)

/** How many of each kind a user has. */
function objectsOf(uid: number): readonly number[] {
  return ['shm', 'msg', 'sem'].map(name => {
    const [head = '', ...lines] = readFileSync(`/proc/sysvipc/${name}`, 'utf8').trim().split('\n')
    const column = head.trim().split(/\s+/).indexOf('uid')
    return lines.filter(line => line.trim().split(/\s+/)[column] === `${uid}`).length
  })
}

t.test('they are removed once their user runs nothing, and not before', async t => {
  const other = spawn('sleep', ['1000'], { uid: BUSY, gid: BUSY, stdio: 'ignore' })
  t.teardown(() => other.kill('SIGKILL'))
  for (const user of [BUSY, IDLE])
    t.equal((await run(guestd, { command: MAKE, user })).exit.exitCode, 0)
  await until(() => objectsOf(IDLE).every(count => count === 0), LIMIT_MS)
  t.same(objectsOf(BUSY), [1, 1, 1], 'a process of this user runs outside of all commands')
  const gone = new Promise(resolve => other.once('exit', resolve))
  other.kill('SIGKILL')
  await gone
  await run(guestd, { command: 'true', user: BUSY })
  await until(() => objectsOf(BUSY).every(count => count === 0), LIMIT_MS)
  t.pass('all are gone')
})
