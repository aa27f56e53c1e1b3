/** What the tests of workspaces share. */
import { readdirSync, readFileSync } from 'node:fs'
import type { Guestd } from '../helpers/guestd.ts'
import { infoOf } from '../helpers/session.ts'

/**
 * Why there is no workspace: the same reason in /v1/session, in /readyz, and for a command that
 * needs it; one elsewhere runs.
 */
export async function unavailable(on: Guestd): Promise<string> {
  const { workspace } = await infoOf(on)
  const ready = await on.request('GET', '/readyz')
  const refused = await on.request('POST', '/v1/commands', { body: { command: 'true' } })
  const elsewhere = await on.request('POST', '/v1/commands', {
    body: { command: 'true', cwd: '/' },
  })
  const reason = workspace.reason ?? ''
  const isReported = [ready.text, refused.text].every(text =>
    text.includes(JSON.stringify(reason).slice(1, -1)),
  )
  const codes = [ready.status, refused.status, elsewhere.status].join()
  if (codes !== '503,503,200' || !isReported || refused.json().code !== 'workspace_unavailable')
    throw new Error(`${codes} ${reason}\n${ready.text}\n${refused.text}`)
  return reason
}

/** The steps of the last stop that are done, in their order. */
export function stopSteps(on: Guestd): string[] {
  return on
    .log()
    .split('\n')
    .filter(line => line.includes('"msg":"stop step"') && line.includes('"state":"done"'))
    .map(line => JSON.parse(line).name)
}

/** inotify watches of a process: lines of /proc/PID/fdinfo, proc(5). */
export function watchesOf(pid: number): number {
  const folder = `/proc/${pid}/fdinfo`
  return readdirSync(folder).reduce((sum, fd) => {
    try {
      return sum + (readFileSync(`${folder}/${fd}`, 'utf8').match(/^inotify/gm)?.length ?? 0)
    } catch {
      // It has been closed meanwhile.
      return sum
    }
  }, 0)
}
