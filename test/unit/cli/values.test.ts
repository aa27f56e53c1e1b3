import t from 'tap'
import {
  parseChoice,
  parseCount,
  parseDuration,
  parseEnv,
  parseNumber,
  parseSignal,
  parseSize,
} from '../../../src/cli/values.ts'

t.test('durations are read in milliseconds', async t => {
  const durations = [
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['2d', 172_800_000],
    ['1m30s', 90_000],
    ['1.5s', 1_500],
    ['0', 0],
    ['2', 2_000],
    ['0.25', 250],
  ] as const
  for (const [text, ms] of durations) t.equal(parseDuration('--timeout', text), ms, text)
  for (const text of ['', 's', '5x', '-1s', '1 s', '1s5', '1e3', 'Infinity']) {
    t.throws(() => parseDuration('--timeout', text), {
      name: 'UsageError',
      message: `--timeout: '${text}' is not a duration such as 30s, 5m or 500ms`,
    })
  }
})

t.test('sizes are read in bytes, letters as powers of 1,024', async t => {
  const sizes = [
    ['1024', 1024],
    ['64k', 65_536],
    ['64KiB', 65_536],
    ['512MiB', 536_870_912],
    ['512mb', 536_870_912],
    ['1G', 1_073_741_824],
    ['1.5g', 1_610_612_736],
    ['1T', 2 ** 40],
    ['7b', 7],
  ] as const
  for (const [text, bytes] of sizes) t.equal(parseSize('--memory', text), bytes, text)
  for (const text of ['', 'G', '1X', '-1', '1 G', '99999999T', '0x10']) {
    t.throws(() => parseSize('--memory', text), { name: 'UsageError' }, text)
  }
})

t.test('counts, numbers and choices refuse what they are not', async t => {
  t.equal(parseCount('--pids', '12'), 12)
  t.equal(parseNumber('--cpus', '.5'), 0.5)
  t.equal(parseNumber('--cpus', '2'), 2)
  t.equal(parseChoice('--background', 'kill', ['keep', 'kill']), 'kill')
  for (const text of ['', '1.5', '-1', 'x', '99999999999999999999']) {
    t.throws(() => parseCount('--pids', text), { name: 'UsageError' }, text)
  }
  for (const text of ['', '-1', 'x', 'NaN', 'Infinity', '1e9']) {
    t.throws(() => parseNumber('--cpus', text), { name: 'UsageError' }, text)
  }
  t.throws(() => parseChoice('--background', 'no', ['keep', 'kill']), {
    message: "--background: 'no' is not keep or kill",
  })
})

t.test('signals have their names with or without SIG, or their numbers', async t => {
  const signals = [
    ['TERM', 'SIGTERM'],
    ['SIGTERM', 'SIGTERM'],
    ['term', 'SIGTERM'],
    ['15', 'SIGTERM'],
    ['9', 'SIGKILL'],
    ['USR1', 'SIGUSR1'],
    ['RTMIN+2', 'SIGRTMIN+2'],
    ['36', 'SIGRTMIN+2'],
  ] as const
  for (const [text, name] of signals) t.equal(parseSignal('--signal', text), name, text)
  for (const text of ['', 'SIG', 'NOPE', '0', '65', '-9', 'RTMIN+31', 'constructor']) {
    t.throws(
      () => parseSignal('--signal', text),
      {
        name: 'UsageError',
        message: `--signal: '${text}' is not a signal such as TERM, SIGINT or 9`,
      },
      text,
    )
  }
})

t.test('variables are given, or taken over by name', async t => {
  const own = { HOME: '/h', EMPTY: '' }
  t.same(parseEnv(['A=b', 'C=d=e', 'E=', 'HOME', 'EMPTY', 'NONE'], own), {
    A: 'b',
    C: 'd=e',
    E: '',
    HOME: '/h',
    EMPTY: '',
  })
  t.same(parseEnv(['A=1', 'A=2'], own), { A: '2' })
  for (const text of ['', '=', '=x']) {
    t.throws(() => parseEnv([text], own), { message: `--env: '${text}' is not NAME=value` })
  }
})
