/** The workspace as text. */

import type { WorkspaceInfo, WorkspaceLargest } from '../client/index.ts'
import { type Fact, formatBytes, renderTable } from './text-table.ts'

/** @param shown reasons that another line shows already */
export function workspaceFacts(
  { path, ok, reason, device, usage, capEnforcement, enforcedFor }: WorkspaceInfo,
  shown: readonly string[],
): Fact[] {
  const where = device === null ? path : `${path} on ${device}`
  const isShown = reason === null || shown.some(one => one.endsWith(reason))
  const facts: Fact[] = [['Workspace', isShown ? where : `${path}: ${reason}`]]
  const cap: Fact = ['Cap', capText(capEnforcement, enforcedFor)]
  if (usage === null && !ok) return facts
  // A workspace without a cap is not measured.
  if (usage === null) return [...facts, ...(capEnforcement === 'none' ? [] : [NOT_YET]), cap]
  const { usedBytes, capBytes, usedInodes, availableInodes, full } = usage
  const percent = Math.round((usedBytes / Math.max(capBytes, 1)) * 100)
  const bytes = `${formatBytes(usedBytes)} of ${formatBytes(capBytes)} (${percent} %)`
  const most = availableInodes === null ? '' : ` of ${usedInodes + availableInodes}`
  const one = usedInodes === 1 && most === ''
  const files = `${usedInodes} ${one ? 'file' : 'files'}${most}`
  const fullText = full === null ? '' : `; FULL: no ${full} are left`
  return [...facts, ['Used', `${bytes}, ${files}${fullText}`], cap]
}

const NOT_YET: Fact = ['Used', 'not measured yet']

function capText(
  capEnforcement: WorkspaceInfo['capEnforcement'],
  enforcedFor: WorkspaceInfo['enforcedFor'],
): string {
  switch (capEnforcement) {
    case 'kernel':
      return `enforced by the kernel, for ${enforcedFor}`
    case 'advisory':
      return 'advisory: guestd starts no commands past it'
    case 'none':
      return 'none'
  }
}

/** The largest entries, and deleted files that are still open. */
export function renderLargest({
  complete,
  entries,
  deletedOpen,
  deletedOpenBytes,
  memory,
}: WorkspaceLargest): string {
  const parts = [
    renderTable(
      [
        'SIZE',
        'FILES',
        complete ? 'PATH' : 'PATH (incomplete: not all of it could be read in time)',
      ],
      entries.map(({ bytes, files, path }) => [formatBytes(bytes), String(files), path]),
    ),
  ]
  if (deletedOpen.length > 0) {
    const title = `DELETED BUT OPEN (${formatBytes(deletedOpenBytes)} in all)`
    const rows = deletedOpen.map(({ bytes, pid, name, path }) => [
      formatBytes(bytes),
      `${name} (pid ${pid})`,
      path,
    ])
    parts.push(renderTable(['SIZE', 'HELD BY', title], rows))
  }
  if (memory.length > 0) {
    const rows = memory.map(({ bytes, place }) => [formatBytes(bytes), place])
    parts.push(renderTable(['MEMORY', 'HELD BY'], rows))
  }
  return parts.map(part => `\n${part}`).join('')
}
