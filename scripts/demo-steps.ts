/**
 * The steps of `make run`: in a repository a suite fails, is fixed and passes. As root a volume is also filled, stopped
 * and resumed.
 */

export interface Step {
  readonly title: string
  /** Options of `guestctl run`. */
  readonly options: readonly string[]
  readonly script: string
  /** Another command of guestctl than `run`. */
  readonly args?: readonly string[]
  /** The exit code that it must have. */
  readonly exitCode: number
}

const IN_PROJECT = ['-C', 'slug']

/** The workspace has no git settings, and no command inherits any from another. */
const AS_DEMO = ['NAME=demo', 'EMAIL=demo@localhost']
  .flatMap(setting => [`GIT_AUTHOR_${setting}`, `GIT_COMMITTER_${setting}`])
  .flatMap(variable => ['-e', variable])

/** Only double quotes, so that the line printed can be read, and typed. */
const PROGRAM = `slug() { printf "%s" "$1" | tr "A-Z " "a-z-"; }`

const SUITE = `#!/usr/bin/env bash
. ./slug.sh
failed=0
check() {
  sleep 0.3
  if [ "$(slug "$1")" = "$2" ]; then echo "ok      $1 -> $2"
  else echo "not ok  $1 -> $(slug "$1"), expected $2"; failed=1; fi
}
check "Hello World" "hello-world"
check "one" "one"
check "a   b" "a-b"
exit $failed`

export const steps: readonly Step[] = [
  {
    title: 'Make a git repository with a program and its test suite',
    options: [],
    script: `set -euo pipefail
git init --quiet --initial-branch=main slug && cd slug
cat > slug.sh <<"END"
${PROGRAM}
END
cat > test.sh <<"END"
${SUITE}
END
chmod +x test.sh && ls -l`,
    exitCode: 0,
  },
  {
    title: 'Commit it',
    options: [...IN_PROJECT, ...AS_DEMO],
    script:
      'git add . && git commit --quiet -m "Add slug and its tests" && git log --oneline --stat',
    exitCode: 0,
  },
  {
    title: 'Run the suite: it fails, and so does guestctl',
    options: IN_PROJECT,
    script: './test.sh',
    exitCode: 1,
  },
  {
    title: 'Fix the program',
    options: IN_PROJECT,
    script: 'sed -i "s/| tr/| tr -s \\" \\" | tr/" slug.sh && git diff',
    exitCode: 0,
  },
  {
    title: 'Run the suite again: it passes',
    options: IN_PROJECT,
    script: './test.sh',
    exitCode: 0,
  },
  {
    title: 'Commit the fix',
    options: [...IN_PROJECT, ...AS_DEMO],
    script: 'git commit --quiet -a -m "Squeeze runs of spaces" && git log --oneline',
    exitCode: 0,
  },
]

/** On a volume: up to the cap, and to the stop. */
export const beforeStop: readonly Step[] = [
  {
    title: 'Fill the workspace: at its cap the writer gets an error, root too',
    options: [],
    script: 'head -c 2G /dev/zero > filler',
    exitCode: 1,
  },
  ofGuestctl('Look what takes the space', ['status', '--largest']),
  {
    title: 'Make room again',
    options: [],
    script: 'rm filler && df -h .',
    exitCode: 0,
  },
  ofGuestctl('Stop the session: all that was written is on the volume', ['stop']),
]

/** On the same volume, with a guestd that knows nothing of the one before. */
export const afterResume: readonly Step[] = [
  {
    title: 'The repository is there, and sound',
    options: IN_PROJECT,
    script: 'git fsck --full --strict && git log --oneline && ./test.sh',
    exitCode: 0,
  },
  ofGuestctl('And guestd knows that it goes on', ['status']),
]

function ofGuestctl(title: string, args: readonly string[]): Step {
  return { title, options: [], script: args.join(' '), args, exitCode: 0 }
}

/** A call of guestctl as it would be typed. */
export function lineOf(args: readonly string[]): string {
  return ['guestctl', ...args].map(quote).join(' ')
}

/** A word for a shell. */
export function quote(word: string): string {
  return /^[\w./=:@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/** Printed after all steps. */
export const VERDICT =
  'The demonstration succeeded: the suite failed with exit code 1, was fixed, and passed with 0.'

/** Printed after the resume. */
export const LIFE_VERDICT =
  'The workspace went through a stop: it was full, was stopped with a receipt, and all of it is there.'
