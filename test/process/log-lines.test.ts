import t, { type Test } from 'tap'
import { bytesOf, type Guestd, run, startGuestd, until } from '../helpers/guestd.ts'

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

type Line = Record<string, unknown>

/** The lines with this message, once there are as many. */
async function linesOf(guestd: Guestd, msg: string, count: number): Promise<Line[]> {
  const found = () =>
    guestd
      .log()
      .split('\n')
      .filter(line => line.includes(`"msg":"${msg}"`))
      .map(line => JSON.parse(line) as Line)
  await until(() => found().length >= count)
  return found()
}

const post = (guestd: Guestd, body: object, headers = {}) =>
  guestd.request('POST', '/v1/commands', { headers, body })

t.test('the line of a refused request has its code, its field and the command', async t => {
  const guestd = await startGuestd(t)
  await post(guestd, { id: 'first', command: 5 })
  await post(guestd, { id: 'second', command: 'true', cwd: '/nowhere' })
  await post(guestd, { id: 'not/an/id', command: 'true' })
  await guestd.request('POST', '/v1/commands', {
    headers: { 'content-type': 'application/json' },
    body: '{',
  })
  await guestd.request('DELETE', '/v1/commands/third')
  await guestd.request('DELETE', '/v1/commands/%zz')
  await guestd.request('PUT', '/v1/session', { body: { id: '-' } })
  await guestd.request('POST', '/v1/command')
  const lines = await linesOf(guestd, 'request', 8)
  t.same(
    lines.map(({ command, status, code, field }) => ({ command, status, code, field })),
    [
      { command: 'first', status: 400, code: 'invalid_request', field: 'command' },
      { command: 'second', status: 422, code: 'cwd_not_found', field: 'cwd' },
      { command: undefined, status: 400, code: 'invalid_request', field: 'id' },
      { command: undefined, status: 400, code: 'invalid_json', field: undefined },
      { command: 'third', status: 404, code: 'command_not_found', field: 'id' },
      { command: undefined, status: 400, code: 'invalid_request', field: 'url' },
      { command: undefined, status: 400, code: 'invalid_request', field: 'id' },
      { command: undefined, status: 404, code: 'not_found', field: undefined },
    ],
  )
})

t.test('the name of a field in a line is bounded', async t => {
  const guestd = await startGuestd(t)
  await post(guestd, { command: 'true', ['x'.repeat(300)]: 1 })
  const [line] = await linesOf(guestd, 'request', 1)
  t.equal(line?.field, 'x'.repeat(128))
})

async function endOf(guestd: Guestd, index: number): Promise<Line> {
  return (await linesOf(guestd, 'command ended', index + 1))[index] ?? {}
}

t.test('the line of an end has the pid, the processor time, and no text', async t => {
  const guestd = await startGuestd(t)
  const { frames } = await run(guestd, { id: 'a', command: 'exit 3' })
  const { time, cpuMs, durationMs, user, ...line } = await endOf(guestd, 0)
  t.same(line, {
    level: 'info',
    component: 'commands',
    msg: 'command ended',
    command: 'a',
    pid: frames[0]?.pid,
    cause: 'exit',
    limit: null,
    exitCode: 3,
    signal: null,
    stage: null,
    errno: null,
    stdoutBytes: 0,
    stderrBytes: 0,
    descendants: 0,
  })
  t.type(time, 'string')
  t.type(user, 'string')
  t.type(cpuMs, 'number')
  t.type(durationMs, 'number')
})

t.test('with logCommands the text is commandLine, and command is the id in every line', async t => {
  const guestd = await startGuestd(t, { config: { logCommands: true, logLevel: 'debug' } })
  await run(guestd, { id: 'a', command: 'true # text' })
  const line = await endOf(guestd, 0)
  t.equal(line.commandLine, 'true # text')
  await linesOf(guestd, 'request', 1)
  for (const text of guestd.log().trimEnd().split('\n')) {
    const { command = 'a' } = JSON.parse(text)
    t.equal(command, 'a', text)
  }
})

t.test('the line of an end names the limit that ended it', async t => {
  const guestd = await startGuestd(t, { config: { timeoutMs: 120, killGraceMs: 50 } })
  await run(guestd, { command: 'sleep 60' })
  t.same((await endOf(guestd, 0)).limit, { timeoutMs: 120 })
  await run(guestd, { command: 'sleep 60', timeoutMs: 60 })
  t.same((await endOf(guestd, 1)).limit, { timeoutMs: 60 })
})

t.test("a command that the session's lifetime ends has that limit in its line", async t => {
  const guestd = await startGuestd(t, { config: { killGraceMs: 50 } })
  const body = { command: 'sleep 60', detach: true }
  await guestd.request('POST', '/v1/commands', { body })
  await guestd.request('PUT', '/v1/session', { body: { id: 's', lifetimeMs: 1 } })
  const line = await endOf(guestd, 0)
  t.equal(line.cause, 'stopped')
  t.same(line.limit, { lifetimeMs: 1 })
})

const SHOW = 'for name in TRACEPARENT TRACESTATE; do printenv $name || echo unset; done'

async function shown(guestd: Guestd, headers: Record<string, string>, more = {}): Promise<string> {
  const reply = await post(guestd, { command: SHOW, ...more }, headers)
  return bytesOf(reply.frames(), 'stdout').toString().trim().replace('\n', ' ')
}

async function checkTrace(t: Test, guestd: Guestd): Promise<void> {
  const traced = { traceparent: TRACEPARENT, tracestate: 'a=1, b=2' }
  t.equal(await shown(guestd, traced), `${TRACEPARENT} a=1,b=2`)
  t.equal(await shown(guestd, { traceparent: TRACEPARENT }), `${TRACEPARENT} unset`)
  t.equal(await shown(guestd, { traceparent: 'forged', tracestate: 'a=1' }), 'unset unset')
  t.equal(await shown(guestd, { tracestate: 'a=1' }), 'unset unset')
  const long = { traceparent: TRACEPARENT, tracestate: `a=${'x'.repeat(600)}` }
  t.equal(await shown(guestd, long), `${TRACEPARENT} unset`)
  t.equal(await shown(guestd, traced, { env: { TRACEPARENT: 'own' } }), 'own a=1,b=2')
}

t.test('a valid trace is in the environment and on the lines of the command', async t => {
  const guestd = await startGuestd(t)
  await checkTrace(t, guestd)
  const ends = await linesOf(guestd, 'command ended', 6)
  t.same(
    ends.map(line => line.traceparent),
    [TRACEPARENT, TRACEPARENT, undefined, undefined, TRACEPARENT, TRACEPARENT],
  )
  const requests = await linesOf(guestd, 'request', 4)
  t.same(
    requests.map(({ traceparent, command }) => [traceparent, command]),
    [0, 1, 4, 5].map(index => [TRACEPARENT, ends[index]?.command]),
  )
  t.notMatch(guestd.log(), /forged/)
})
