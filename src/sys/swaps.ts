/** Where the machine swaps to: /proc/swaps, proc(5). */
import { readFileSync } from 'node:fs'
import { decodeOctal } from './mounts.ts'

/** The paths of files and devices. */
export function listSwaps(): readonly string[] {
  try {
    const [, ...lines] = readFileSync('/proc/swaps', 'utf8').split('\n')
    return lines.map(line => decodeOctal(line.split(/\s/)[0] ?? '')).filter(path => path !== '')
  } catch {
    // A kernel without swap has no such file.
    return []
  }
}
