import t from 'tap'
import { parseArguments } from '../../../src/cli/arguments.ts'
import type { OptionRow } from '../../../src/cli/command-spec.ts'
import { commands } from '../../../src/cli/guestctl.ts'
import { commandHelp, topHelp } from '../../../src/cli/help-text.ts'
import { readRequest, requestOptions } from '../../../src/cli/run-options.ts'

const rows: readonly OptionRow[] = [
  { name: 'env', short: 'e', value: 'K=V', multiple: true, help: '' },
  { name: 'id', value: 'ID', help: '' },
  { name: 'json', short: 'j', help: '' },
  { name: 'repair', word: 'full', help: '' },
]
const parse = (args: readonly string[], stopsAtOperand = true) =>
  parseArguments(args, { rows, stopsAtOperand })

t.test('options end at -- or at the first operand', async t => {
  for (const args of [
    ['-e', 'A=b', '--json', '--', 'ls', '-la', '--', 'x'],
    ['-eA=b', '-j', 'ls', '-la', '--', 'x'],
  ]) {
    const parsed = parse(args)
    t.same(parsed.operands, ['ls', '-la', '--', 'x'])
    t.same(parsed.values('env'), ['A=b'])
    t.equal(parsed.has('json'), true)
    t.equal(parsed.has('id'), false)
  }
  t.same(parse(['--']).operands, [])
  t.same(parse(['--', '--help']).operands, ['--help'])
  t.same(parse(['--id', 'x']).operands, [])
})

t.test('where options do not end they may follow operands', async t => {
  const parsed = parse(['a', '--id', 'x', 'b', '--id=y'], false)
  t.same(parsed.operands, ['a', 'b'])
  t.equal(parsed.value('id'), 'y', 'the last one counts')
  t.same(parse(['--', '--id'], false).operands, ['--id'])
})

t.test('a wrong option is a usage error in one sentence', async t => {
  const refused = [
    [['--nope'], "unknown option '--nope'"],
    [['-x'], "unknown option '-x'"],
    [['--id'], "option '--id <value>' argument missing"],
    [['--repair=all'], "--repair takes no value but 'full'"],
    [['--json=1'], "option '-j, --json' does not take an argument"],
  ] as const
  for (const [args, message] of refused) {
    t.throws(() => parse(args), { name: 'UsageError', message }, args.join(' '))
  }
})

t.test('a switch may take its word, and no operand is one', async t => {
  for (const [args, value] of [
    [['--repair'], undefined],
    [['--repair=full'], 'full'],
    [['--repair', '--repair=full'], 'full'],
  ] as const) {
    const parsed = parse(args)
    t.equal(parsed.has('repair'), true, args.join(' '))
    t.equal(parsed.value('repair'), value, args.join(' '))
  }
  t.same(parse(['--', '--repair=all']).operands, ['--repair=all'])
  t.equal(parse(['--', '--repair=full']).has('repair'), false)
  t.same(parse(['--repair', 'full']).operands, ['full'])
})

t.test('one operand is a script, several are an argv', async t => {
  const request = (...args: string[]) =>
    readRequest(parseArguments(args, { rows: requestOptions, stopsAtOperand: true }), {})
  t.same(request('--', 'echo $A | cat'), { command: 'echo $A | cat' })
  t.same(request('--', 'echo', '$A'), { argv: ['echo', '$A'] })
  t.same(request('--', 'echo', ''), { argv: ['echo', ''] })
  t.throws(() => request('--'), { message: 'there is no command to run' })
  t.throws(() => request('--', ''), { message: 'there is no command to run' })
})

t.test('every option of a request becomes its field', async t => {
  const args = `--id i -e A=b -C /tmp -u 1000 --timeout 2s --memory 1M --pids 5 --cpus 0.5
    --nofile 9 --background kill --on-disconnect kill -- true`
  const parsed = parseArguments(args.split(/\s+/), { rows: requestOptions, stopsAtOperand: true })
  t.same(readRequest(parsed, {}), {
    id: 'i',
    command: 'true',
    cwd: '/tmp',
    env: { A: 'b' },
    user: 1000,
    timeoutMs: 2_000,
    limits: { memoryBytes: 1_048_576, pids: 5, cpus: 0.5, nofile: 9 },
    background: 'kill',
    onDisconnect: 'kill',
  })
})

t.test('the help names every command and every option', async t => {
  const top = topHelp(commands)
  for (const command of commands) {
    t.match(top, new RegExp(`^  ${command.name} +${command.summary.slice(0, 9)}`, 'm'))
    const help = commandHelp(command)
    for (const { name } of command.options) t.ok(help.includes(`--${name}`), name)
    t.ok(help.includes('--connect') && help.includes('--help'))
  }
})
