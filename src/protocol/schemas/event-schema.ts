/** The events of a session, in `GET /v1/events`. */

import type { Static, TProperties } from 'typebox'
import * as Type from 'typebox'
import { exitFields } from './frame-schema.ts'
import { count, nullable, time } from './parts.ts'
import { ReadinessReason } from './readiness-schema.ts'
import { receiptFields, StopReason } from './receipt-schema.ts'
import { Reset, usageFields } from './workspace-schema.ts'

/** Cursor of an event: the id of the boot, and a number that increases with every event. */
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
      type: Type.Literal(type, { description: 'Type of the event' }),
      cursor: cursor('Position of this event, as "bootId:number". A reader continues after it'),
      at: time('When it happened'),
      ...fields,
    },
    { description },
  )

const id = Type.String({ description: 'Id of the command' })

/** Problems with the state in runDir. */
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
      'guestd accepts commands: /readyz replies 200. Sent at the start and after each not_ready',
      {
        version: Type.String({ description: 'Version of guestd' }),
        restarted: Type.Boolean({ description: 'guestd was started before in this boot' }),
      },
    ),
    event('not_ready', '/readyz replies 503. Sent when the codes of the reasons change', {
      reasons: Type.Array(ReadinessReason, { description: 'The reasons, as in /readyz' }),
    }),
    event('session_set', 'The host has set the session', {
      id: Type.String({ description: 'Id of the session' }),
      runtimeVersion: nullable(Type.String(), 'As the host set it; null: not set'),
    }),
    event('session_renewed', 'The host has renewed the session', {
      id: Type.String({ description: 'Id of the session' }),
      changed: Type.Array(Type.String(), {
        description: 'Names of changed fields, such as "env.TOKEN"; never their values',
      }),
      more: count('Number of changed fields that are not listed'),
    }),
    event('workspace_mounted', 'The workspace is mounted. For a folder: it is available again', {
      device: nullable(Type.String(), 'The block device of the workspace; null for a folder'),
      generation: nullable(
        Type.Integer({ minimum: 0 }),
        'How many times the workspace has been started; null for a folder, or if unknown',
      ),
    }),
    event('workspace_recovered', 'The workspace was not left clean and was repaired', {
      recovery: Type.Array(Type.String(), { description: 'The steps of the repair' }),
    }),
    event(
      'workspace_formatted',
      'The device was blank, and guestd made a file system on it, as configured',
      {
        device: Type.String({ description: 'The block device of the workspace' }),
        bytes: count('Size of the file system, in bytes'),
      },
    ),
    event('workspace_reset', 'The workspace was started empty, as configured', { reset: Reset }),
    event(
      'workspace_unavailable',
      'The workspace cannot be used. Sent again when the reason changes',
      {
        reason: Type.String({ description: 'Why it cannot be used' }),
      },
    ),
    event('workspace_level', 'The use of the workspace has passed a level', {
      percent: Type.Enum([0, 80, 90, 100], {
        description:
          'The level reached, in percent of bytes or of inodes, whichever is higher; 0: below 80',
      }),
      rising: Type.Boolean({ description: 'true: the use has increased; false: it has decreased' }),
      ...usageFields,
    }),
    event('flush_failed', 'A flush failed: written data can be lost', {
      reason: Type.String({ description: 'What failed' }),
    }),
    event(
      'memory',
      'Memory that stays in use after processes end leaves commands too little, or enough again',
      {
        full: Type.Boolean({ description: 'true: too little is left; false: enough again' }),
        limitBytes: count('Most memory that commands can use, in bytes'),
        leftBytes: count('Files in memory and shared memory, in bytes'),
      },
    ),
    event('state_problem', 'The state in runDir is damaged, lost or cannot be written', {
      code: Type.Enum([...stateProblems], { description: 'Name of the problem' }),
      reason: Type.String({ description: 'The problem as a sentence' }),
    }),
    event('idle_limit', 'There was no work for idleMs, and the session is being stopped', {
      idleMs: count('The limit, in milliseconds'),
    }),
    event('lifetime_limit', 'lifetimeMs have passed, and the session is being stopped', {
      lifetimeMs: count('The limit, in milliseconds'),
    }),
    event('stopping', 'The stop has begun', { reason: StopReason }),
    event('stopped', 'The session has stopped. The last event, with the receipt', {
      ...receiptFields,
      reason: StopReason,
    }),
    event('command_started', 'A command was started', {
      id,
      user: Type.String({ description: 'Name of the user that the command runs as' }),
    }),
    event('command_ended', 'A command has ended', {
      id,
      cause: exitFields.cause,
      exitCode: exitFields.exitCode,
      signal: exitFields.signal,
    }),
    event('gap', 'Events between two cursors that guestd does not hold; there can be none', {
      from: cursor('Cursor of the last event before the gap'),
      to: cursor('Cursor of the last event in the gap; also the cursor of this event'),
    }),
    event('keepalive', 'Sent after keepaliveMs without another event', {}),
  ],
  { description: 'An event of the session' },
)
export type SessionEvent = Static<typeof SessionEvent>

export const EventsQuery = Type.Object(
  {
    cursor: Type.Optional(
      cursor('Cursor of the last event that the client has. Default: all events that guestd holds'),
    ),
    follow: Type.Optional(
      Type.Boolean({
        description:
          'Continue until the session has stopped. Default: false, end after the last event',
      }),
    ),
  },
  { additionalProperties: false },
)
export type EventsQuery = Static<typeof EventsQuery>
