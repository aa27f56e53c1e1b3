/** The swap files and devices of the machine: /proc/swaps, proc(5). */
import { readFileSync } from 'node:fs'
import { decodeOctal } from './mounts.ts'

/** Their paths. */
export function listSwaps(): readonly string[] {
  try {
    const [, ...lines] = readFileSync('/proc/swaps', 'utf8').split('\n')
    return lines.map(line => decodeOctal(line.split(/\s/)[0] ?? '')).filter(path => path !== '')
  } catch {
    // A kernel without swap does not have the file.
    return []
  }
}
