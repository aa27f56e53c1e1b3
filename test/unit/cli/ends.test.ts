import t from 'tap'
import { exitCodeOf } from '../../../src/cli/exit-code.ts'
import { type Asked, explainEnd } from '../../../src/cli/explain.ts'
import { describeState } from '../../../src/cli/one-line.ts'
import { errorText } from '../../../src/cli/report-error.ts'
import {
  formatBytes,
  formatDuration,
  printable,
  printableLines,
  renderFacts,
  renderTable,
} from '../../../src/cli/text-table.ts'
import { type CommandInfo, GuestdError } from '../../../src/client/index.ts'
import { causes, type ExitFacts } from '../../../src/protocol/schemas/frame-schema.ts'
import { exitFrame } from '../../helpers/fake-guest.ts'

const facts = (given: Partial<ExitFacts>): ExitFacts => exitFrame(0, { exitCode: null, ...given })

t.test('every end has its exit code', async t => {
  const ends = [
    [{ cause: 'exit', exitCode: 0 }, 0],
    [{ cause: 'exit', exitCode: 255 }, 255],
    [{ cause: 'signal', signal: 'SIGKILL' }, 137],
    [{ cause: 'signal', signal: 'SIGINT' }, 130],
    [{ cause: 'signal', signal: 'SIGRTMIN+1' }, 163],
    [{ cause: 'timeout', signal: 'SIGTERM' }, 124],
    [{ cause: 'timeout', exitCode: 0 }, 124],
    [{ cause: 'oom', signal: 'SIGKILL' }, 137],
    [{ cause: 'killed', signal: 'SIGKILL' }, 137],
    [{ cause: 'killed', exitCode: 0 }, 137],
    [{ cause: 'stopped', signal: 'SIGTERM' }, 143],
    [{ cause: 'stopped', exitCode: 0 }, 137],
    [{ cause: 'disconnected', signal: 'SIGTERM' }, 143],
    [{ cause: 'quota', signal: 'SIGKILL' }, 137],
    [{ cause: 'lost' }, 125],
    [{ cause: 'spawn', stage: 'exec', errno: 'ENOENT' }, 127],
    [{ cause: 'spawn', stage: 'exec', errno: 'ENOENT', interpreter: '/x' }, 127],
    [{ cause: 'spawn', stage: 'exec', errno: 'EACCES' }, 126],
    [{ cause: 'spawn', stage: 'exec', errno: 'ENOEXEC' }, 126],
    [{ cause: 'spawn', stage: 'chdir', errno: 'ENOENT' }, 126],
    [{ cause: 'spawn', stage: 'timeout', errno: null }, 126],
  ] as const
  for (const [given, code] of ends) t.equal(exitCodeOf(facts(given)), code, JSON.stringify(given))
  t.same([...new Set(ends.map(([{ cause }]) => cause))].sort(), [...causes].sort(), 'every cause')
})

t.test(
  'each end that guestd made is explained by its own reason, no other is explained',
  async t => {
    /** A word of the explanation that the explanation of no other cause has. */
    const words: Readonly<Record<(typeof causes)[number], RegExp | null>> = {
      exit: null,
      signal: null,
      timeout: /time limit/,
      oom: /memory/,
      quota: /workspace is full/,
      killed: /^the command was killed$/,
      stopped: /stopped/,
      disconnected: /reader|connection/,
      spawn: /exec failed with ENOENT/,
      lost: /not known/,
    }
    const explained = causes.map(
      cause => [cause, explainEnd(facts({ cause, stage: 'exec', errno: 'ENOENT' }), {})] as const,
    )
    for (const [cause, word] of Object.entries(words)) {
      const matching = explained.filter(([, text]) => text !== null && word?.test(text))
      const wanted = word === null ? [] : [cause]
      t.same(
        matching.map(([other]) => other),
        wanted,
        `${cause}: ${matching}`,
      )
    }
    const silent = explained.filter(([, text]) => text === null)
    t.same(silent.map(([cause]) => cause).sort(), ['exit', 'signal'])
  },
)

t.test('a command that cannot begin is explained by what was asked for', async t => {
  const spawn = (stage: string, errno: string) => facts({ cause: 'spawn', stage, errno })
  const rows: [string, string, Asked, string][] = [
    ['exec', 'EACCES', {}, 'the command cannot be executed: exec failed with EACCES'],
    [
      'exec',
      'EACCES',
      { argv: ['./x', 'y'] },
      "the command './x' cannot be executed: exec failed with EACCES",
    ],
    [
      'exec',
      'ENOENT',
      { argv: ['nix'] },
      "the command 'nix' was not found: exec failed with ENOENT",
    ],
    [
      'chdir',
      'EACCES',
      { user: 'bob', cwd: '/root' },
      'user bob may not enter /root: chdir failed with EACCES',
    ],
    [
      'chdir',
      'EACCES',
      {},
      "the command's user may not enter the workspace: chdir failed with EACCES",
    ],
    ['chdir', 'ENOENT', {}, 'the command cannot be executed: chdir failed with ENOENT'],
  ]
  for (const [stage, errno, asked, text] of rows) {
    t.equal(explainEnd(spawn(stage, errno), asked), text)
  }
})

t.test('a missing interpreter is named, and a line that ends with CRLF too', t => {
  const missing = facts({ cause: 'spawn', stage: 'exec', errno: 'ENOENT' })
  const words = (interpreter: string) =>
    explainEnd({ ...missing, interpreter }, { argv: ['./x', 'y'] })
  t.equal(
    words('/nope'),
    "the command './x' needs the interpreter '/nope', which was not found (exec failed with ENOENT)",
  )
  t.equal(
    words('/bin/bash\r'),
    "the command './x' needs the interpreter '/bin/bash\\r', which was not found: its first line ends with CRLF; save it with LF line ends (exec failed with ENOENT)",
  )
  t.equal(words('\u001b[2J"\u009b')?.includes("'\\u001b[2J\"?'"), true, 'terminals are safe')
  t.end()
})

t.test('out of memory: the limit of the command and the machine differ', t => {
  const words = (oomScope: 'command' | 'machine' | null) =>
    explainEnd(facts({ cause: 'oom', signal: 'SIGKILL', oomScope }), {})
  t.equal(
    words('command'),
    'the command was killed because it reached its memory limit: give it more with --memory',
  )
  t.equal(
    words('machine'),
    'the command was killed because the machine ran out of memory: give the machine more, or run less at once',
  )
  t.equal(words(null), 'the command was killed because memory ran out')
  t.end()
})

t.test('a state is described in a few words', async t => {
  const state = (given: Partial<CommandInfo>) =>
    describeState({ ...facts({}), state: 'ended', ...given } as CommandInfo)
  t.equal(state({ state: 'running', cause: null }), 'running')
  t.equal(state({ cause: 'exit', exitCode: 3 }), 'exit 3')
  t.equal(state({ cause: 'signal', signal: 'SIGSEGV' }), 'SIGSEGV')
  t.equal(state({ cause: 'oom', signal: 'SIGKILL' }), 'SIGKILL (oom)')
  t.equal(state({ cause: 'timeout', exitCode: 0 }), 'exit 0 (timeout)')
  t.equal(state({ cause: 'spawn', stage: 'exec', errno: 'ENOENT' }), 'exec ENOENT (spawn)')
  t.equal(state({ cause: 'lost' }), 'lost')
})

t.test('tables keep their columns, and terminals safe', async t => {
  t.equal(
    renderTable(['A', 'LONG', 'C'], [['1234', 'x', 'a\u001b[31mb\nc']]),
    'A     LONG  C\n1234  x     a [31mb c\n',
  )
  t.equal(renderTable(['A', 'B'], []), 'A  B\n')
  const turned = 'x\u202egpj.exe\u2066\u200f\u061c\u2028'
  const shown = 'x\\u202egpj.exe\\u2066\\u200f\\u061c\\u2028'
  t.equal(renderTable(['A'], [[turned]]), `A\n${shown}\n`)
  t.equal(renderFacts([['A', turned]]), `A: ${shown}\n`)
  t.equal(printableLines(`${turned}\nb\u001b[2J\n`), `${shown}\nb [2J\n`)
  t.equal(
    printable('a\u0644\u200d\u00e9\ud83d\ude00'),
    'a\u0644\u200d\u00e9\ud83d\ude00',
    'text of people',
  )
  t.equal(
    renderFacts([
      ['One', '1'],
      ['Three', '3'],
    ]),
    'One:   1\nThree: 3\n',
  )
})

t.test('bytes and durations are as people read them', async t => {
  const bytes = [0, 37, 1_023, 1_024, 1_536, 123_456_789, 2 ** 40]
  t.same(bytes.map(formatBytes), [
    '0 B',
    '37 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '118 MiB',
    '1.0 TiB',
  ])
  const durations = [0, 37, 1_500, 200_000, 7_500_000, 356_400_000]
  t.same(durations.map(formatDuration), ['0ms', '37ms', '1.5s', '3m20s', '2h5m', '4d3h'])
})

t.test('a refusal ends with what to do', async t => {
  const rows = [
    ['user_unknown', 'give another user with -u, or correct the setting user of guestd'],
    ['stopped', "start the session again with 'guestctl start'"],
    [
      'stopping',
      "after the stop, start the session again with 'guestctl start', or in a new guest",
    ],
  ] as const
  for (const [code, advice] of rows)
    t.equal(errorText(new GuestdError(code, 'why'), 'run'), `why (${code}): ${advice}`)
})
