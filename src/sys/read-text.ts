import { readFileSync } from 'node:fs'

/** The content of a file, as of /proc, /sys or a cgroup; an empty string when it cannot be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
