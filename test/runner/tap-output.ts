/** What a run of tap printed: a line for each file, and the sum. */

export interface FileResult {
  readonly name: string
  readonly ok: boolean
  /** As tap measured it; `null` where tap printed no time. */
  readonly seconds: number | null
  /** All that the file printed, its result last. */
  readonly lines: readonly string[]
}

export interface Sum {
  readonly passed: number
  readonly failed: number
}

/**
 * Reads the output of tap line by line, and emits each file when its result is printed. Lines behind
 * the last file belong to none: the sum, and the reasons of a run that ended early.
 */
export function createFileReader(emit: (file: FileResult) => void): (line: string) => void {
  let file: string[] = []
  return line => {
    file.push(line)
    const result = /^(not )?ok \d+ - (.*)/.exec(line)
    if (result === null) return
    const [, not, title = ''] = result
    const [name = ''] = title.split(' # ')
    const ms = /# time=([\d.]+)ms/.exec(title)?.[1]
    const seconds = ms === undefined ? null : Number(ms) / 1_000
    const lines = file
    file = []
    emit({ name, ok: not === undefined, seconds, lines })
  }
}

/** tap's own closing line counts every assertion. A run that failed without one failed once. */
export function tapSum(lines: readonly string[], code: number | null): Sum {
  const summary = lines.findLast(line => line.startsWith('# { total:')) ?? ''
  const read = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(summary)?.[1] ?? 0)
  // A test that was skipped, or is still to be written, has not passed.
  const failed = read('fail') + read('skip') + read('todo')
  const passed = read('pass')
  const nothingRan = passed + failed === 0
  return { passed, failed: failed === 0 && (code !== 0 || nothingRan) ? 1 : failed }
}

/** A tool that counts nothing: its exit code is the result. */
export function singleSum(code: number | null): Sum {
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 }
}

export function addSums(sums: readonly Sum[]): Sum {
  return sums.reduce(
    (all, { passed, failed }) => ({ passed: all.passed + passed, failed: all.failed + failed }),
    { passed: 0, failed: 0 },
  )
}
