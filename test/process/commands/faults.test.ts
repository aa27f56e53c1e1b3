import { execFileSync } from 'node:child_process'
import {
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openRun } from '../../helpers/frame-stream.ts'
import { run, startGuestd, until } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'
import { mark } from './support.ts'

t.test('a clone that the kernel refuses is an end like any other', async t => {
  const guestd = await startGuestd(t)
  const session = (await guestd.request('GET', '/v1/session')).json()
  const { path } = session.cgroup as { path: string }
  // No process can be born in a leaf of a threaded cgroup (cgroups(7), EOPNOTSUPP).
  writeFileSync(join(path, 'cgroup.type'), 'threaded')
  for (let count = 0; count < 20; count += 1) {
    const { exit, end } = await run(guestd, { command: 'true', stdin: 'open' })
    matchExactly(t, exit, { cause: 'spawn', errno: 'EOPNOTSUPP', exitCode: null })
    t.equal(end.descendants, 0)
  }
  t.equal((await guestd.request('GET', '/healthz')).status, 200)
})

t.test('a journal without space refuses new commands and harms no running one', async t => {
  const runDir = mkdtempSync(join(tmpdir(), 'guestd-run-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'tmpfs', runDir])
  t.teardown(() => {
    execFileSync('umount', ['-l', runDir])
    rmdirSync(runDir)
  })
  const guestd = await startGuestd(t, { config: { runDir } })
  const running = await openRun(guestd, { command: 'echo up; sleep 1; echo out; exit 3' })
  await running.seen('up')
  const filler = join(runDir, 'filler')
  t.throws(() => writeFileSync(filler, Buffer.alloc(64 * 1024)), { code: 'ENOSPC' })
  const { size } = statSync(join(runDir, 'commands.ndjson'))
  // What is left of the journal's own last page is soon used up.
  const codes: unknown[] = []
  for (let count = 0; count < 40; count += 1) {
    const reply = await guestd.request('POST', '/v1/commands', { body: { command: 'true' } })
    codes.push(reply.status === 200 ? 200 : reply.json().code)
  }
  t.ok(statSync(join(runDir, 'commands.ndjson')).size > size)
  t.equal(codes.at(-1), 'state_unavailable')
  t.match((await running.rest()).at(-2), { type: 'exit', exitCode: 3, cause: 'exit' })
  rmSync(filler)
  t.match((await run(guestd, { id: 'after', command: 'exit 5' })).exit, { exitCode: 5 })
  await guestd.kill()
  await guestd.start()
  t.match((await run(guestd, { id: 'after', command: 'exit 5' })).exit, { exitCode: 5 })
})

t.test(
  'stopLimitMs bounds the grace: a command that ignores SIGTERM is killed within it',
  async t => {
    const config = { killGraceMs: 60_000, stopLimitMs: 3_000 }
    const guestd = await startGuestd(t, { config })
    const { env, living } = mark(t)
    const command = 'trap "" TERM; sleep 1000 & echo up; while :; do sleep 0.1; done'
    const stream = await openRun(guestd, { command, env })
    await stream.seen('up')
    const [code, frames] = await Promise.all([guestd.stop(), stream.rest()])
    t.equal(code, 0)
    t.match(frames.at(-2), { type: 'exit', cause: 'stopped', signal: 'SIGKILL' })
    t.same(living(), [])
  },
)

t.test('a cut reader that lost the starter’s role does not affect the command', async t => {
  const guestd = await startGuestd(t)
  const body = { id: 'role', command: 'echo up; sleep 1; exit 4', onDisconnect: 'kill' }
  const first = await openRun(guestd, body)
  await first.seen('up')
  const second = await openRun(guestd, body)
  await second.seen('up')
  first.cut()
  t.match((await second.rest()).at(-2), { type: 'exit', cause: 'exit', exitCode: 4 })
})

t.test('a process killed at the end of the grace is not counted as a descendant', async t => {
  const guestd = await startGuestd(t, { config: { killGraceMs: 500 } })
  const { env, living } = mark(t)
  const command = '(trap "" TERM; sleep 1000) & trap "exit 7" TERM; sleep 1000 & wait'
  const { exit, end } = await run(guestd, { command, env, timeoutMs: 300 })
  t.match(exit, { cause: 'timeout', exitCode: 7 })
  t.equal(end.descendants, 0)
  t.same(living(), [])
})

t.test('an EventSource gets 204 only when no more bytes can come', async t => {
  const guestd = await startGuestd(t)
  const { frames, end } = await run(guestd, { command: '(sleep 1; echo late) & echo early' })
  const path = `/v1/commands/${frames[0]?.id}/output?follow=true`
  const headers = { accept: 'text/event-stream', 'last-event-id': `${end.cursor}.end` }
  const reply = await guestd.request('GET', path, { headers })
  t.equal(reply.status, 200)
  t.match(reply.text, /"text":"late\\n"/)
  t.notMatch(reply.text, /event: exit/, 'it had that')
  const last = { ...headers, 'last-event-id': `${end.cursor + 'late\n'.length}.end` }
  t.equal((await guestd.request('GET', path, { headers: last })).status, 204)
})

t.test('a script that begins with a dash is a script', async t => {
  const guestd = await startGuestd(t)
  const { exit, stderr } = await run(guestd, { command: '-x' })
  t.match(exit, { exitCode: 127 })
  t.match(stderr, /-x: command not found/)
})

t.test(
  'without descriptors a command ends, wherever they ran out, and leaves none behind',
  async t => {
    const guestd = await startGuestd(t)
    await run(guestd, { command: 'true' })
    const folder = `/proc/${guestd.pid}/fd`
    const descriptors = () => readdirSync(folder).map(Number)
    const isPipe = (fd: number) => {
      try {
        return readlinkSync(join(folder, `${fd}`)).startsWith('pipe:')
      } catch {
        return false
      }
    }
    const pipes = () => descriptors().filter(isPipe).length
    const limits = (...words: string[]) =>
      execFileSync('prlimit', ['--pid', `${guestd.pid}`, ...words], { encoding: 'utf8' }).trim()
    const usual = limits('--nofile', '--noheadings', '-o', 'SOFT')
    const before = pipes()
    const stages = new Set<unknown>()
    // From one at which its connection is all that it can have, to one with enough.
    for (let free = 1; free <= 12; free += 1) {
      const taken = descriptors()
      let count = 0
      for (let left = free; left > 0 || taken.includes(count); count += 1)
        if (!taken.includes(count)) left -= 1
      limits(`--nofile=${count}:`)
      const ended = await run(guestd, { command: 'true' }).catch(() => null)
      limits(`--nofile=${usual}:`)
      stages.add(ended?.exit.stage ?? (ended === null ? 'connection' : ended.exit.cause))
      if (ended?.exit.cause === 'spawn') t.equal(ended.exit.errno, 'EMFILE')
    }
    t.ok(stages.has('pipe') && stages.has('exit'), [...stages].join())
    t.match((await run(guestd, { command: 'exit 5' })).exit, { exitCode: 5 })
    await until(() => pipes() <= before)
  },
)
