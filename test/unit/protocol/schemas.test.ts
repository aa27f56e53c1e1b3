import t from 'tap'
import type { TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { noExit } from '../../../src/commands/exit-facts.ts'
import { errorTable, GuestdError } from '../../../src/errors.ts'
import { toProblem } from '../../../src/protocol/problem.ts'
import * as schemas from '../../../src/protocol/schemas.ts'
import {
  CommandInfo,
  CommandLimits,
  CommandParams,
  OutputQuery,
  Problem,
  RunRequest,
  SignalRequest,
  StdinQuery,
} from '../../../src/protocol/schemas.ts'

const accepts = (schema: TSchema, value: unknown) => Value.Check(schema, value)

t.test('a run request with every field passes', async t => {
  const whole: RunRequest = {
    id: 'a.b_c-1',
    command: 'set -e\nmake',
    cwd: '/mnt/workspace',
    env: { PATH: '/bin', 'odd\nname': '' },
    user: 'agent',
    timeoutMs: 0,
    stdin: 'open',
    stderr: 'stdout',
    limits: { memoryBytes: 2 ** 30, pids: 100, cpus: 0.5, nofile: 1024 },
    detach: true,
    onDisconnect: 'kill',
    background: 'kill',
    allowOverCap: true,
  }
  const rest = { argv: ['ls', ''], user: 0 }
  t.ok(accepts(RunRequest, whole))
  t.ok(accepts(RunRequest, rest))
  const fields = new Set(Object.keys({ ...whole, ...rest }))
  t.same(fields, new Set(Object.keys(RunRequest.properties)), 'every field')
  const limits = Object.keys(whole.limits ?? {})
  t.same(new Set(limits), new Set(Object.keys(CommandLimits.properties)), 'every limit')
})

t.test('what a run request may not have is refused', async t => {
  const bad: Record<string, unknown> = {
    'an unknown field': { command: 'x', tty: { columns: 80, rows: 24 } },
    'an unknown limit': { command: 'x', limits: { disk: 1 } },
    'an empty command': { command: '' },
    'NUL in a command': { command: 'a\0' },
    'a number for a command': { command: 1 },
    'an empty argv': { argv: [] },
    'a number in argv': { argv: ['a', 1] },
    'a number in env': { command: 'x', env: { A: 1 } },
    'a number in env under a name with a line break': { command: 'x', env: { 'a\nb': 1 } },
    'an empty cwd': { command: 'x', cwd: '' },
    'an empty user': { command: 'x', user: '' },
    'a negative uid': { command: 'x', user: -1 },
    'the uid that means no change': { command: 'x', user: 2 ** 32 - 1 },
    'a negative time limit': { command: 'x', timeoutMs: -1 },
    'a time limit that no timer takes': { command: 'x', timeoutMs: 2 ** 31 },
    'half a millisecond': { command: 'x', timeoutMs: 0.5 },
    'another stdin': { command: 'x', stdin: 'pipe' },
    'no processor': { command: 'x', limits: { cpus: 0 } },
    'an id that is a path': { command: 'x', id: '../x' },
    'an id of 129 characters': { command: 'x', id: 'x'.repeat(129) },
    'null for a default': { command: 'x', cwd: null },
    'a list': [],
    nothing: null,
  }
  for (const [what, body] of Object.entries(bad)) t.notOk(accepts(RunRequest, body), what)
})

t.test('queries, parameters and signals have their shapes', async t => {
  t.ok(accepts(OutputQuery, {}))
  t.ok(accepts(OutputQuery, { cursor: Number.MAX_SAFE_INTEGER, follow: true, hold: false }))
  t.notOk(accepts(OutputQuery, { cursor: -1 }))
  t.notOk(accepts(OutputQuery, { from: 1 }))
  t.ok(accepts(StdinQuery, { offset: 0, eof: true }))
  t.notOk(accepts(CommandParams, { id: 'a/b' }))
  t.ok(accepts(SignalRequest, { signal: 'SIGRTMIN+1', target: 'process' }))
  t.notOk(accepts(SignalRequest, { signal: 'TERM' }))
  t.notOk(accepts(SignalRequest, { signal: 'SIGTERM', target: 'session' }))
})

t.test('a running command has null where nothing is known yet', async t => {
  const running: CommandInfo = {
    id: 'x',
    state: 'running',
    pid: 12,
    startedAt: '2026-01-02T03:04:05.678Z',
    endedAt: null,
    cwd: '/',
    user: 'root',
    commandLine: 'true',
    detach: false,
    ...noExit,
    stdoutBytes: 0,
    stderrBytes: 0,
    truncated: 0,
    descendants: 0,
    lateBytes: 0,
    outputOpen: true,
    cursor: 0,
    firstCursor: 0,
    proof: 'cgroup',
    usage: { memoryBytes: 1, pids: 1, cpuMs: null },
  }
  t.ok(accepts(CommandInfo, running))
  t.notOk(accepts(CommandInfo, { ...running, cause: 'boredom' }))
})

t.test('every error of the table makes a problem, and its schema lists the table', async t => {
  const text = JSON.stringify(Problem)
  for (const [code, row] of Object.entries(errorTable)) {
    const problem = toProblem(new GuestdError('internal', 'x', { field: 'y' }))
    t.ok(accepts(Problem, { ...problem, code, status: row.status }), code)
    const documented = `| ${code} | ${row.status} | ${row.retryable} |`
    t.ok(text.includes(documented), `${code} is documented`)
  }
})

/** Where a schema, at any depth, has no description: the paths of its fields. */
function withoutDescription(path: string, schema: object): string[] {
  const rules: {
    readonly description?: string
    readonly properties?: Readonly<Record<string, object>>
    readonly items?: object
    readonly anyOf?: readonly object[]
  } = schema
  const fields = Object.entries(rules.properties ?? {}).flatMap(([name, field]) => [
    ...('description' in field ? [] : [`${path}.${name}`]),
    ...withoutDescription(`${path}.${name}`, field),
  ])
  const parts = [...(rules.anyOf ?? []), ...(rules.items === undefined ? [] : [rules.items])]
  return [...fields, ...parts.flatMap(part => withoutDescription(path, part))]
}

t.test('every field of every schema has a description', async t => {
  for (const [name, schema] of Object.entries(schemas)) {
    if (typeof schema !== 'object' || !('type' in schema || 'anyOf' in schema)) continue
    t.same(withoutDescription(name, schema), [], name)
  }
  t.same(withoutDescription('x', { properties: { a: {} } }), ['x.a'], 'one without is found')
})
