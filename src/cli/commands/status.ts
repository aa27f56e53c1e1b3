/** guestctl status */

import type { Health, SessionInfo } from '../../client/index.ts'
import type { CliCommand } from '../command-spec.ts'
import { exitCodes } from '../exit-code.ts'
import { noOperands } from '../operands.ts'
import { type Fact, formatBytes, formatDuration, renderFacts } from '../text-table.ts'
import { renderLargest, workspaceFacts } from '../workspace-text.ts'

export const status: CliCommand = {
  name: 'status',
  summary: 'Show the state of guestd and its session',
  operands: '',
  options: [
    { name: 'largest', help: 'Also show what takes the space of the workspace, and memory' },
    { name: 'json', help: 'Print it as JSON' },
  ],
  details: `It succeeds if guestd answers, ready or not. With --wait it succeeds only if guestd is ready within that
time; 'guestctl --wait 0 status' asks once.`,
  waitsUntil: 'ready',
  run: async (args, { client, stdout }) => {
    noOperands(args)
    const guest = client()
    const [session, health] = await Promise.all([guest.session(), guest.health()])
    const largest = args.has('largest') ? await guest.largest() : null
    const { ready, reasons } = health
    await stdout.write(
      args.has('json')
        ? `${JSON.stringify({ ...session, ready, reasons, ...(largest && { largest }) }, null, 2)}\n`
        : `${renderFacts(factsOf(session, health))}${largest === null ? '' : renderLargest(largest)}`,
    )
    return exitCodes.ok
  },
}

function factsOf(session: SessionInfo, health: Health): Fact[] {
  const { workspace, cgroup, limits, commands } = session
  const reasons = health.reasons.map(({ message }) => message)
  const beginning: Fact[] = [
    ['State', session.state.replace('_', ' ')],
    ['Because', reasons],
  ]
  const end: Fact[] = [
    ['Version', `${session.version}, API ${session.apiVersion}`],
    ['Started', session.startedAt],
    ['Boot', session.bootId],
  ]
  // A misconfigured guestd has no session and no workspace.
  if (session.state === 'misconfigured') return [...beginning, ...end]
  return [
    ...beginning,
    ['Session', session.id ?? 'none'],
    ['Owner', ownerOf(session)],
    ...(workspace.device === null && session.generation === null ? [] : historyOf(session)),
    ['Started empty', session.reset === null ? [] : resetWords[session.reset]],
    ['Expired', session.expired ? 'yes, when it was started' : []],
    ['Expires', session.expiresAt ?? []],
    ['Recovery', session.recovery],
    ...workspaceFacts(workspace, reasons),
    ['Commands', `${commands.running} running of ${limits.maxCommands}, ${commands.ended} ended`],
    ['Contained by', cgroup.mode === 'group' ? 'process groups only' : `cgroups in ${cgroup.path}`],
    ['Enforceable', cgroup.limits.length === 0 ? 'nofile' : `${cgroup.limits.join(', ')}, nofile`],
    ['Memory', memoryText(session)],
    ['Limits', limitsText(limits)],
    ['Stopped by', stoppedBy(session)],
    ['Ends', endText(session)],
    ...end,
  ]
}

/** The session of the volume, if it is not this one. */
function ownerOf({ id, workspace }: SessionInfo): string[] {
  const { sessionId } = workspace
  return sessionId === null || sessionId === id ? [] : [`the session ${sessionId}`]
}

/** The history of a volume. A folder has none. */
function historyOf({ generation, resumed }: SessionInfo): Fact[] {
  return [
    ['Generation', generation === null ? 'unknown: the volume has no mark' : String(generation)],
    ['Resumed', resumed ? 'yes' : 'no'],
  ]
}

const stopReasons: Readonly<Record<string, string>> = {
  request: 'a request',
  signal: 'a signal',
  idle: 'its idle limit',
  lifetime: 'its lifetime limit',
}

function stoppedBy({ state, reason }: SessionInfo): string[] {
  return isEnding(state) && reason !== null ? [stopReasons[reason] ?? reason] : []
}

function isEnding(state: SessionInfo['state']): boolean {
  return state === 'stopping' || state === 'stopped'
}

/** Empty if the session has ended or is stopping. */
function endText({ state, idleMs, lifetimeMs, idleSince, endsAt }: SessionInfo): string[] {
  if (isEnding(state)) return []
  const idle = idleMs === 0 ? [] : [`${formatDuration(idleMs)} without work`]
  const lifetime = lifetimeMs === 0 ? [] : [`${formatDuration(lifetimeMs)} of life`]
  const limits = [...idle, ...lifetime].join(' or ')
  const work = idleSince === null ? 'there is work' : `idle since ${idleSince}`
  if (limits === '') return [`never; ${work}`]
  return [`after ${limits}; ${work}`, ...(endsAt === null ? [] : [`at ${endsAt} at the earliest`])]
}

const resetWords = {
  expired: 'yes, as it had expired',
  versionChanged: 'yes, as the runtime version has changed',
} as const

function memoryText({ memory }: SessionInfo): string[] {
  if (memory === null) return []
  const { usedBytes, limitBytes, leftBytes, rootFilesBytes } = memory
  const used = `${formatBytes(usedBytes)} of ${formatBytes(limitBytes)} in use`
  const left = `${formatBytes(leftBytes)} by files in memory`
  const root = rootFilesBytes === null ? '' : `; files of / take ${formatBytes(rootFilesBytes)}`
  return [`${used}, ${left}${root}`]
}

function limitsText({ memoryBytes, pids, cpus, nofile }: SessionInfo['limits']): string {
  const set = [
    memoryBytes === null ? null : `memory ${formatBytes(memoryBytes)}`,
    pids === null ? null : `pids ${pids}`,
    cpus === null ? null : `cpus ${cpus}`,
    nofile === null ? null : `nofile ${nofile}`,
  ].filter(text => text !== null)
  return set.length === 0 ? 'none' : set.join(', ')
}
