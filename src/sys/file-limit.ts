/** RLIMIT_NOFILE (getrlimit(2)). */
import { readFileSync } from 'node:fs'
import { native } from './native.ts'

/** The limits of this process. */
export function nofileLimit(): { readonly soft: number; readonly hard: number } {
  const [soft, hard] = native.nofileLimit()
  return { soft, hard }
}

/** The bit of CAP_SYS_RESOURCE in the masks of /proc/self/status: capabilities(7). */
const SYS_RESOURCE = 1n << 24n

/**
 * The largest limit that this process can set for a child: its own hard limit or, with CAP_SYS_RESOURCE, the limit of the
 * machine.
 *
 * @param hard its own hard limit
 */
export function largestNofile(hard: number): number {
  try {
    const [, mask = '0'] =
      /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    if ((BigInt(`0x${mask}`) & SYS_RESOURCE) === 0n) return hard
    return Math.max(hard, Number(readFileSync('/proc/sys/fs/nr_open', 'utf8')))
  } catch {
    return hard
  }
}
