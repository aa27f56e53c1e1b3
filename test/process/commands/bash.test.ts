import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { run, startGuestd } from '../../helpers/guestd.ts'
import { matchExactly } from '../../helpers/match-exactly.ts'

const MAX_COMMAND_BYTES = 1024 * 1024
/** Longer than one argument may be, so that the script reaches bash in another way. */
const PADDING = `\n#${'padding '.repeat(20_000)}`

const guestd = await startGuestd(t)

interface Result {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: unknown
}

const seen = new Map<string, Result>()

/** What a `bash -c` on this machine does with a script, its streams being pipes as a command's are. */
function realBash(script: string): Result {
  const known = seen.get(script)
  if (known !== undefined) return known
  const path = (name: string) => join(guestd.dir, name)
  const piped = `{ { bash -c "$1" </dev/null 3>&-; echo $? > '${path('code')}'; } 2>&3 | cat > '${path('out')}'; } 3>&1 >/dev/null | cat > '${path('err')}'`
  execFileSync('/bin/sh', ['-c', piped, 'sh', script], {
    cwd: guestd.workspace,
    env: { ...LOGIN, LANG: 'C.UTF-8' },
  })
  const text = (name: string) => readFileSync(path(name), 'utf8')
  const result = { stdout: text('out'), stderr: text('err'), exitCode: Number(text('code')) }
  seen.set(script, result)
  return result
}

const LOGIN = {
  HOME: '/root',
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
}

async function viaGuestd(script: string): Promise<Result> {
  const { stdout, stderr, exit } = await run(guestd, { command: script })
  return { stdout, stderr, exitCode: exit.exitCode }
}

/** Scripts whose whole behaviour has to be that of `bash -c`, by what they are about. */
const scripts: Readonly<Record<string, string>> = {
  'a list': 'echo a; false; echo "$?"; true && echo b || echo c',
  pipes: `printf "b\\na\\n" | sort | tr a-z A-Z; echo "\${PIPESTATUS[*]}"`,
  variables: `x="a  b"; y=$x; echo $y "$y" \${#y} "\${nope:-default}"`,
  'a here-document': 'n=5\ncat <<EOF\nn is $n, $(echo sub)\n\ttabbed\nEOF\necho after',
  'a quoted here-document on the first line': "cat <<'EOF'\n$HOME `x`\nEOF",
  'a here-string': 'read -r a b <<< "one two three"; echo "$b|$a"',
  'set -e': 'set -e; echo before; false; echo never',
  'set -u': 'set -u; echo "$nope"; echo never',
  'set -o pipefail': 'set -euo pipefail; echo x | false | cat; echo never',
  'writing to /dev/stderr':
    'echo out > /dev/stdout; echo err > /dev/stderr; echo more >> /dev/stderr',
  'reading /dev/fd': 'cat /dev/fd/3 3<<< three; exec 4< <(echo four); cat /dev/fd/4',
  'process substitution': 'diff <(printf "1\\n2\\n") <(printf "1\\n3\\n"); echo "$?"',
  'output process substitution': 'echo abc > >(tr a-z A-Z); wait "$!"; echo done',
  'a trap on EXIT': 'trap \'echo "bye $?"; exit 7\' EXIT; echo hi; exit 3',
  'a trap on EXIT at the end of the script': 'trap "echo bye" EXIT; echo hi',
  'a trap on ERR': 'trap "echo failed at $LINENO" ERR\nfalse\ntrue',
  'names and parameters': `echo "$0" "$#" "[$*]" "$-" "$SHLVL" "\${BASH_SOURCE[0]-none}"; set -- x y; echo "$#$2"`,
  'line numbers': 'echo $LINENO\n\necho $LINENO; f() { echo $LINENO; }\nf',
  'standard input': 'read -r line; echo "$? [$line]"; cat; wc -c',
  'an interpreter line': '#!/bin/sh\necho "$BASH_VERSION" | wc -l',
  'an alias': 'shopt -s expand_aliases\nalias hi="echo aliased"\nhi',
  'functions and return': 'f() { return 4; }; f; echo $?; return 5; echo "after $?"',
  arithmetic: 'for ((i = 0; i < 3; i++)); do echo $((i * i)); done; ((0)); echo $?',
  arrays: `declare -A m=([a]=1 [b]=2); a=(x "y z"); echo "\${#m[@]} \${a[1]} \${!m[*]}" | wc -w`,
  globs: 'touch g1 g2; echo g*; rm g1 g2; echo g*',
  'exec with redirections': 'exec 5>&1 1>&2; echo to-err; echo to-out >&5',
  'exec of another program': 'exec printf "%s\\n" replaced',
  'an exit code over 255': 'exit 300',
  'an exit without a code': 'false; exit',
  'the code of the last command': '(exit 42)',
  'a program that is missing': 'no-such-program-here',
  'a file that is not executable': '/etc/passwd',
  'a subshell that a signal ends': '(kill -TERM $BASHPID); echo $?',
  jobs: 'sleep 0.1 & wait $!; echo $?; (exit 9) & wait $!; echo $?',
  'characters of several bytes': `x="é𝄞漢"; echo "\${#x} \${x:1:1} $x"`,
  'an empty last line': 'echo a\n\n\n',
  'only a comment': '# nothing',
  'a continued line': 'echo a \\\n  b\necho "c\\\nd"',
  'nested quotes': `echo "a'b\\"c" 'd"e' $'f\\'g\\x41' "$(echo "h 'i'")"`,
}

/** Bash names where a script comes from in its own messages; all else has to be the same. */
const sameMessages = (text: string) => text.replace(/^bash: (-c|eval): /gm, 'bash: ')

t.test('a script does what bash -c does with it', async t => {
  for (const [about, script] of Object.entries(scripts)) {
    t.same(await viaGuestd(script), realBash(script), about)
  }
})

t.test('a script longer than an argument does what bash -c does with it', async t => {
  for (const [about, script] of Object.entries(scripts)) {
    const { stderr, ...rest } = await viaGuestd(script + PADDING)
    const { stderr: expected, ...same } = realBash(script)
    t.same(rest, same, about)
    t.equal(sameMessages(stderr), sameMessages(expected), `${about}: messages`)
  }
})

t.test('a script that is no bash ends with 2 at the line, having run what came before', async t => {
  for (const script of [
    'echo a\nif true\n',
    'echo a\n)',
    'echo a; echo "b',
    'echo a\ncase x in',
    '; x',
  ]) {
    const real = realBash(script)
    t.match(real.stderr, /syntax error|unexpected/)
    const short = await viaGuestd(script)
    t.same(short, real, script)
    // The padding must not end the quoted text or the command that the script leaves open.
    const long = await viaGuestd(`${PADDING.trimStart()}\n${script}`)
    t.same([long.stdout, long.exitCode], [real.stdout, real.exitCode], `${script}: long`)
    t.match(long.stderr, /syntax error|unexpected/)
  }
})

t.test('65,536 characters of four bytes each arrive whole', async t => {
  const text = '𝄞'.repeat(65_536)
  const sha256 = createHash('sha256').update(text).digest('hex')
  const script = `printf %s '${text}' | sha256sum; echo "$0 $# $LINENO"; wc -c; exit 5`
  const { stdout, stderr, exitCode } = await viaGuestd(script)
  t.same({ stdout, stderr }, { stdout: `${sha256}  -\nbash 0 1\n0\n`, stderr: '' })
  t.equal(exitCode, 5)
})

t.test('characters stay whole wherever a script has to be cut', async t => {
  for (let shift = 0; shift < 4; shift++) {
    const text = 'x'.repeat(shift) + '𝄞'.repeat(150_000)
    const sha256 = createHash('sha256').update(text).digest('hex')
    const { stdout } = await viaGuestd(`printf %s '${text}' | sha256sum`)
    t.equal(stdout, `${sha256}  -\n`, `shifted by ${shift}`)
  }
})

t.test('scripts just below and just above the length of one argument run alike', async t => {
  const limit = 128 * 1024
  for (let length = limit - 3; length <= limit + 2; length++) {
    const script = 'echo "$0 $#"; exit 6 #'.padEnd(length, 'x')
    t.same(await viaGuestd(script), { stdout: 'bash 0\n', stderr: '', exitCode: 6 }, `${length}`)
  }
})

t.test('a script of 1 MiB runs to its last line', async t => {
  const lines = ['n=0; echo "$0 $#"']
  const last = 'echo "$n $LINENO"; cat; exit 9'
  const line = 'n=$((n + 1))'
  const room = MAX_COMMAND_BYTES - `${lines[0]}\n${last}`.length
  const count = Math.floor(room / (line.length + 1)) - 1
  for (let i = 0; i < count; i++) lines.push(line)
  const spare = MAX_COMMAND_BYTES - Buffer.byteLength(`${lines.join('\n')}\n${last}`)
  lines.push('#'.repeat(spare - 1))
  const script = `${lines.join('\n')}\n${last}`
  t.equal(Buffer.byteLength(script), MAX_COMMAND_BYTES)
  const { stdout, stderr, exitCode } = await viaGuestd(script)
  t.same({ stdout, stderr }, { stdout: `bash 0\n${count} ${count + 3}\n`, stderr: '' })
  t.equal(exitCode, 9)
})

t.test(
  'a long script leaves no trace in the environment or the parameters of what it starts',
  async t => {
    const script = `echo "$#"; sh -c 'env; echo "$@"; ls /proc/self/fd' x y; compgen -v | grep -v _ | sort`
    const withoutLast = (output: string) => output.replace(/^_=.*$/gm, '')
    const [short, long] = [await viaGuestd(script), await viaGuestd(script + PADDING)]
    t.equal(withoutLast(long.stdout), withoutLast(short.stdout))
  },
)

t.test('an argv runs as it is, with no shell', async t => {
  const argv = ['printf', '%s|', '$HOME', 'a;b', '*', '', 'c d', '`x`', '$(y)', '>out', 'é\n']
  const { stdout, exit } = await run(guestd, { argv })
  t.equal(stdout, `${argv.slice(2).join('|')}|`)
  t.equal(exit.exitCode, 0)
})

t.test('an argv of one string is a program, not a script', async t => {
  const { exit } = await run(guestd, { argv: ['echo hi'] })
  matchExactly(t, exit, { cause: 'spawn', stage: 'exec', errno: 'ENOENT', exitCode: null })
})

t.test('the program of an argv is looked for in the PATH that the command gets', async t => {
  const folder = join(guestd.workspace, 'tools')
  mkdirSync(folder)
  writeFileSync(join(folder, 'my-tool'), '#!/bin/sh\necho "mine $1 $0"\n', { mode: 0o755 })
  const missing = await run(guestd, { argv: ['my-tool', 'x'] })
  t.match(missing.exit, { cause: 'spawn', errno: 'ENOENT' })
  const found = await run(guestd, {
    argv: ['my-tool', 'x'],
    env: { PATH: `/nowhere:${folder}:/bin` },
  })
  t.equal(found.stdout, `mine x ${folder}/my-tool\n`)
  const relative = await run(guestd, { argv: ['./my-tool', 'y'], cwd: 'tools' })
  t.equal(relative.stdout, 'mine y ./my-tool\n')
  const nested = await run(guestd, { argv: ['tools/my-tool', 'z'] })
  t.equal(nested.stdout, 'mine z tools/my-tool\n')
})

t.test('a file in PATH that is not executable is skipped for the next match', async t => {
  const [first, second] = ['first', 'second'].map(name => join(guestd.workspace, name))
  for (const [folder, mode] of [
    [first, 0o644],
    [second, 0o755],
  ] as const) {
    mkdirSync(String(folder))
    writeFileSync(join(String(folder), 'tool'), '#!/bin/sh\necho ran\n', { mode })
  }
  const both = await run(guestd, { argv: ['tool'], env: { PATH: `${first}:${second}:/bin` } })
  t.equal(both.stdout, 'ran\n')
  const denied = await run(guestd, { argv: ['tool'], env: { PATH: `${first}:/nowhere` } })
  t.match(denied.exit, { cause: 'spawn', stage: 'exec', errno: 'EACCES' })
})
