/** Groups as /etc/group has them (group(5)). */
import { readFileSync } from 'node:fs'

/** The id of a group; `null` when /etc/group has no group of that name. A number is an id already. */
export function findGroup(nameOrId: string | number): number | null {
  if (typeof nameOrId === 'number') return nameOrId
  for (const line of readFileSync('/etc/group', 'utf8').split('\n')) {
    const [name, , id = ''] = line.split(':')
    if (name === nameOrId && /^\d+$/.test(id)) return Number(id)
  }
  return null
}
