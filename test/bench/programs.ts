/** The two programs that most rows compare, in the words of both sides. */
import type { Bench } from './bench.ts'
import { type Crew, parseCrew } from './tools.ts'

/** bash by its path, as guestd starts it. */
export const BASH = '/bin/bash'

export interface Load {
  readonly runs: number
  readonly atOnce: number
}

/** Runs of each worker before the clock starts: caches, the JIT, the connection. */
const WARMUPS = 5

/** `bash -c true` by guestd, each from the request to its `end`. */
export async function runByGuestd(bench: Bench, address: string, load: Load): Promise<Crew> {
  const body = JSON.stringify({ command: 'true' })
  const words = [address, load.runs, WARMUPS, load.atOnce, 'POST', '/v1/commands', body]
  return parseCrew(await bench.tools.run('request', words))
}

/** `bash -c true` by posix_spawn(3) and waitpid(2). */
export async function runByC(bench: Bench, load: Load): Promise<Crew> {
  const words = [load.runs, WARMUPS, load.atOnce, BASH, '-c', 'true']
  return parseCrew(await bench.tools.run('spawn', words))
}
