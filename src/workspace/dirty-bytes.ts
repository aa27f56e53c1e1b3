import { readFileSync } from 'node:fs'

/** Dirty pages of all file systems of the machine, in bytes: /proc/meminfo, proc(5). */
export function readDirtyBytes(): number {
  const text = readFileSync('/proc/meminfo', 'utf8')
  const kib = (name: string) => Number(new RegExp(`^${name}: +(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  return (kib('Dirty') + kib('Writeback')) * 1_024
}
