import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { type Guestd, startGuestd, until } from '../../helpers/guestd.ts'
import { inspect, mark, WITHOUT_CGROUPS } from './support.ts'

const signal = (on: Guestd, id: string, body: object) =>
  on.request('POST', `/v1/commands/${id}/signal`, { body })

/** Descriptors of guestd, once none has opened or closed for a while: one that closes would be free. */
async function settledFds({ pid }: Guestd): Promise<readonly number[]> {
  const list = () => readdirSync(`/proc/${pid}/fd`).map(Number)
  for (let last = list(), same = 0; ; ) {
    await new Promise(resolve => setTimeout(resolve, 50))
    const now = list()
    same = now.join() === last.join() ? same + 1 : 0
    last = now
    if (same === 10) return now
  }
}

/** Runs a task while guestd can open so many descriptors more. */
async function withFree<T>(guestd: Guestd, free: number, task: () => Promise<T>): Promise<T> {
  const limits = (...words: string[]) =>
    execFileSync('prlimit', ['--pid', `${guestd.pid}`, ...words], { encoding: 'utf8' }).trim()
  const usual = limits('--nofile', '--noheadings', '-o', 'SOFT')
  const taken = await settledFds(guestd)
  let limit = 0
  for (let left = free; left > 0 || taken.includes(limit); limit += 1)
    if (!taken.includes(limit)) left -= 1
  limits(`--nofile=${limit}:`)
  try {
    return await task()
  } finally {
    limits(`--nofile=${usual}:`)
  }
}

t.test('a signal reaches all of a cgroup, or the reply says that it did not', async t => {
  const guestd = await startGuestd(t)
  const { env, living } = mark(t)
  const command = 'for i in {1..100}; do sleep 1000 & done; echo up; wait'
  const stream = await openRun(guestd, { id: 'many', command, env })
  await stream.seen('up')
  t.equal(living().length, 101)
  const body = { signal: 'SIGTERM', target: 'cgroup' }
  // The connection of the request takes one.
  const short = await withFree(guestd, 1, () => signal(guestd, 'many', body))
  t.equal(short.status, 500)
  t.match(short.json(), { code: 'internal', detail: /SIGTERM did not reach all/ })
  t.ok(living().length > 0, 'it has not')
  const enough = await withFree(guestd, 6, () => signal(guestd, 'many', body))
  t.equal(enough.status, 204)
  await until(() => living().length === 0)
  t.match((await stream.rest()).at(-2), { type: 'exit', cause: 'signal', signal: 'SIGTERM' })
})

t.test('a signal to all of a session says when it cannot be read who that is', async t => {
  const bare = await startGuestd(t, { wrap: WITHOUT_CGROUPS })
  const { env, living } = mark(t)
  const stream = await openRun(bare, { id: 'session', command: 'echo up; exec sleep 1000', env })
  await stream.seen('up')
  const body = { signal: 'SIGTERM', target: 'cgroup' }
  const short = await withFree(bare, 1, () => signal(bare, 'session', body))
  t.equal(short.status, 500)
  t.equal(living().length, 1)
  t.equal((await signal(bare, 'session', body)).status, 204)
  await until(() => living().length === 0)
  await stream.rest()
})

/** guestd as another user than root: its folder is given to that user first. */
const AS_NOBODY = [
  ...['sh', '-c'],
  'for last; do :; done; chown -R 65534:65534 "$(dirname "$last")"; ' +
    'exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"',
  'sh',
]
/** Becomes root by its mode, and waits. */
const PROGRAM =
  '#define _GNU_SOURCE\n#include <unistd.h>\nint main(void) { return setresuid(0, 0, 0) || write(1, "up\\n", 3) != 3 || pause(); }\n'

t.test('a process that guestd may not signal has not ended', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'guestd-setuid-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  chmodSync(folder, 0o755)
  const program = join(folder, 'program')
  writeFileSync(`${program}.c`, PROGRAM)
  execFileSync('gcc', ['-o', program, `${program}.c`])
  chmodSync(program, 0o4755)
  const guestd = await startGuestd(t, { wrap: AS_NOBODY, config: { stopLimitMs: 1_000 } })
  const { env, living } = mark(t)
  const stream = await openRun(guestd, { id: 'root', command: `exec ${program}`, env })
  await stream.seen('up')
  for (const target of ['process', 'group', 'cgroup']) {
    const reply = await signal(guestd, 'root', { signal: 'SIGTERM', target })
    t.equal(reply.status, 403, target)
    t.equal(reply.json().code, 'signal_not_allowed')
  }
  t.match(await inspect(guestd, 'root'), { state: 'running' })
  for (const pid of living()) process.kill(pid, 'SIGKILL')
  t.match((await stream.rest()).at(-2), { type: 'exit', signal: 'SIGKILL' })
  t.equal((await signal(guestd, 'root', { signal: 'SIGTERM', target: 'process' })).status, 409)
})

t.test('a list of many commands without cgroups counts the processes of each', async t => {
  const bare = await startGuestd(t, { wrap: WITHOUT_CGROUPS })
  const { env, living } = mark(t)
  const streams = []
  for (let count = 1; count <= 12; count++) {
    const command = `for i in {1..${count}}; do sleep 1000 & done; echo up; wait`
    const stream = await openRun(bare, { id: `n-${count}`, command, env })
    await stream.seen('up')
    streams.push(stream)
  }
  await until(() => living().length === (12 * 13) / 2 + 12)
  const reply = await bare.request('GET', '/v1/commands')
  const { commands } = reply.json() as { commands: { id: string; usage: { pids: number } }[] }
  t.same(
    commands.map(({ id, usage }) => [id, usage.pids]),
    Array.from({ length: 12 }, (_, index) => [`n-${index + 1}`, index + 2]),
  )
  for (let count = 1; count <= 12; count++) await bare.request('DELETE', `/v1/commands/n-${count}`)
  t.same(living(), [])
  for (const stream of streams) await stream.rest()
})
