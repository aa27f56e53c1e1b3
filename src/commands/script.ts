/** How a script reaches bash: `bash -c`, also when it is longer than one argument may be. */

/** The shell of Debian's `bash` package; the user's login shell plays no part. */
export const BASH = '/bin/bash'

/**
 * The kernel limits one argument to 128 KiB (MAX_ARG_STRLEN, execve(2)), its final NUL included.
 * Longer scripts are cut below it, between characters.
 */
const ONE_ARGUMENT_BYTES = 128 * 1024 - 1
const PIECE_BYTES = 120 * 1024

/**
 * The argv that runs a script as `bash -c SCRIPT` would: same `$0`, no positional parameters, no
 * extra file descriptor, no variable. A longer one comes in pieces as positional parameters, which
 * are joined before they are cleared, on the line on which the script begins.
 */
export function bashArgv(script: string): readonly string[] {
  // `--`: a script that begins with a dash is no option.
  if (Buffer.byteLength(script) <= ONE_ARGUMENT_BYTES)
    return /^[-+]/.test(script) ? ['bash', '-c', '--', script] : ['bash', '-c', script]
  const pieces = cut(Buffer.from(script))
  const parameters = pieces.map((_, index) => `\${${index + 1}}`).join('')
  return ['bash', '-c', `eval "set --; ${parameters}"`, 'bash', ...pieces]
}

function cut(script: Buffer): readonly string[] {
  const pieces: string[] = []
  for (let from = 0; from < script.length; ) {
    let to = Math.min(from + PIECE_BYTES, script.length)
    while (to < script.length && isContinuation(script[to])) to -= 1
    pieces.push(script.toString('utf8', from, to))
    from = to
  }
  return pieces
}

function isContinuation(byte = 0): boolean {
  return (byte & 0xc0) === 0x80
}
