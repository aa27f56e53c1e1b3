/** Reads groups from /etc/group (group(5)). */
import { readFileSync } from 'node:fs'

/** The id of a group; `null` when /etc/group does not contain the name. A number is returned as it is. */
export function findGroup(nameOrId: string | number): number | null {
  if (typeof nameOrId === 'number') return nameOrId
  for (const line of readFileSync('/etc/group', 'utf8').split('\n')) {
    const [name, , id = ''] = line.split(':')
    if (name === nameOrId && /^\d+$/.test(id)) return Number(id)
  }
  return null
}
