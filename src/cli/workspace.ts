/** The workspace for people. */

import type { WorkspaceInfo, WorkspaceTop } from '../client/index.ts'
import { type Fact, formatBytes, renderTable } from './table.ts'

export function workspaceFacts({
  path,
  reason,
  device,
  usage,
  rung,
  enforcedFor,
}: WorkspaceInfo): Fact[] {
  const where = device === null ? path : `${path} on ${device}`
  const facts: Fact[] = [['Workspace', reason === null ? where : `${path}: ${reason}`]]
  if (usage === null) return facts
  const { usedBytes, capBytes, usedInodes, availableInodes, full } = usage
  const percent = Math.round((usedBytes / Math.max(capBytes, 1)) * 100)
  const bytes = `${formatBytes(usedBytes)} of ${formatBytes(capBytes)} (${percent} %)`
  const most = availableInodes === null ? '' : ` of ${usedInodes + availableInodes}`
  const files = `${usedInodes} files${most}`
  const fullText = full === null ? '' : `; FULL: no ${full} are left`
  return [...facts, ['Used', `${bytes}, ${files}${fullText}`], ['Cap', capText(rung, enforcedFor)]]
}

function capText(rung: WorkspaceInfo['rung'], enforcedFor: WorkspaceInfo['enforcedFor']): string {
  switch (rung) {
    case 'device':
      return `enforced by the kernel, for ${enforcedFor}`
    case 'watch':
      return 'watched by guestd, which starts no commands past it'
    case 'none':
      return 'none'
  }
}

/** The largest entries, and deleted files that are still open. */
export function renderTop({
  complete,
  entries,
  deletedOpen,
  deletedOpenBytes,
}: WorkspaceTop): string {
  const parts = [
    renderTable(
      ['SIZE', 'FILES', complete ? 'PATH' : 'PATH (incomplete: the walk took too long)'],
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
  return parts.map(part => `\n${part}`).join('')
}
