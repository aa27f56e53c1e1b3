/** What happens to a session, as `GET /v1/events` tells it. */

import type { Static, TProperties } from 'typebox'
import * as Type from 'typebox'
import { exitFields } from './frame-schema.ts'
import { count, nullable } from './parts.ts'
import { ReadinessReason } from './readiness-schema.ts'
import { receiptFields, StopReason } from './receipt-schema.ts'
import { Reset, usageFields } from './workspace-schema.ts'

/** Cursor of an event: the boot, and a number that grows with every event of it. */
export const EVENT_CURSOR_PATTERN = '^[0-9a-f-]{36}:[0-9]{1,16}$'

const cursor = (description: string) =>
  Type.String({ pattern: EVENT_CURSOR_PATTERN, maxLength: 64, description })

const event = <const Name extends string, Fields extends TProperties>(
  type: Name,
  description: string,
  fields: Fields,
) =>
  Type.Object(
    {
      type: Type.Literal(type),
      cursor: cursor('Of this event: "bootId:seq"; a reader goes on after it'),
      at: Type.String({ format: 'date-time', description: 'When; ISO 8601, UTC' }),
      ...fields,
    },
    { description },
  )

const id = Type.String({ description: 'Id of the command' })

/** What can be wrong with the state that guestd keeps in runDir. */
export const stateProblems = [
  'journal_damaged',
  'journal_unreadable',
  'journal_version',
  'journal_full',
  'processes_killed',
  'run_dir_lost',
  'other_session',
] as const
export type StateProblem = (typeof stateProblems)[number]

export const SessionEvent = Type.Union(
  [
    event(
      'ready',
      'Commands are taken: /readyz is 200. At the start, or later, and after each not_ready',
      {
        version: Type.String({ description: 'Version of guestd' }),
        restarted: Type.Boolean({ description: 'It has been started before in this boot' }),
      },
    ),
    event('not_ready', '/readyz is 503. At the start, and whenever the codes change', {
      reasons: Type.Array(ReadinessReason, { description: 'As /readyz has them' }),
    }),
    event('session_set', 'The host has said which session this is', {
      id: Type.String({ description: 'Id of the session' }),
      runtimeVersion: nullable(Type.String(), 'As the host gave it, or null'),
    }),
    event('session_renewed', 'The host has renewed what may change of the session', {
      id: Type.String({ description: 'Id of the session' }),
      changed: Type.Array(Type.String(), {
        description: 'Names of the fields that changed, such as "env.TOKEN"; never their values',
      }),
      more: count('Fields that changed and are not listed'),
    }),
    event('workspace_mounted', 'The workspace is there; of a folder told where it was not before', {
      device: nullable(Type.String(), 'Its block device; null: a folder'),
      generation: nullable(
        Type.Integer({ minimum: 0 }),
        'How many times it has been started; null: unknown, or a folder',
      ),
    }),
    event('workspace_recovered', 'It had not been left clean, and has been mended', {
      recovery: Type.Array(Type.String(), { description: 'What was done' }),
    }),
    event('workspace_formatted', 'Its device was blank, and got a file system, as is configured', {
      device: Type.String({ description: 'Its block device' }),
      bytes: count('Of the file system'),
    }),
    event('workspace_reset', 'It was started empty, as is configured', { reset: Reset }),
    event(
      'workspace_unavailable',
      'The workspace cannot be used; emitted again with another reason',
      {
        reason: Type.String({ description: 'Why, in words' }),
      },
    ),
    event('workspace_level', 'How full it is has passed a level', {
      percent: Type.Enum([0, 80, 90, 100], {
        description: 'The level it is at now, of bytes or of files, whichever is more; 0: below 80',
      }),
      rising: Type.Boolean({ description: 'false: there is room again' }),
      ...usageFields,
    }),
    event('flush_failed', 'What was written may be lost', {
      reason: Type.String({ description: 'What failed' }),
    }),
    event(
      'memory',
      'What stays in memory when processes end leaves commands too little, or no more',
      {
        full: Type.Boolean({ description: 'false: there is enough again' }),
        limitBytes: count('What commands may take, in bytes'),
        leftBytes: count('What of it files in memory and shared memory hold, in bytes'),
      },
    ),
    event('state_problem', 'What guestd keeps in runDir is damaged, lost or cannot be written', {
      code: Type.Enum([...stateProblems], { description: 'What is wrong' }),
      reason: Type.String({ description: 'The same in words' }),
    }),
    event('idle_limit', 'Nothing was done for idleMs: the session is being stopped', {
      idleMs: count('The limit, in milliseconds'),
    }),
    event('lifetime_limit', 'lifetimeMs have passed: the session is being stopped', {
      lifetimeMs: count('The limit, in milliseconds'),
    }),
    event('stopping', 'The stop has begun', { reason: StopReason }),
    event('stopped', 'The last event: how the workspace was left', {
      ...receiptFields,
      reason: StopReason,
    }),
    event('command_started', 'A command runs', {
      id,
      user: Type.String({ description: 'Whom it runs as' }),
    }),
    event('command_ended', 'A command has ended', {
      id,
      cause: exitFields.cause,
      exitCode: exitFields.exitCode,
      signal: exitFields.signal,
    }),
    event('gap', 'Events that are not held, if there were any', {
      from: cursor('What they came after'),
      to: cursor('The last of them; also the cursor of this event'),
    }),
    event('keepalive', 'Sent when there was nothing to send for a while', {}),
  ],
  { description: 'Something that happened to the session' },
)
export type SessionEvent = Static<typeof SessionEvent>

export const EventsQuery = Type.Object(
  {
    cursor: Type.Optional(
      cursor('Of the last event that was seen: begin after it. Default: all that is held'),
    ),
    follow: Type.Optional(
      Type.Boolean({
        description: 'Go on until the session has stopped; else until now. Default: false',
      }),
    ),
  },
  { additionalProperties: false },
)
export type EventsQuery = Static<typeof EventsQuery>
