/** guestctl session */

import type { SessionRequest } from '../../client/index.ts'
import { type Arguments, type CliCommand, UsageError } from '../command-spec.ts'
import { exitCodes } from '../exit-code.ts'
import { limitOptions, readLimits } from '../limit-options.ts'
import { parseDuration, parseEnv } from '../values.ts'

export const session: CliCommand = {
  name: 'session',
  summary: 'Assign the session, or replace its environment and limits',
  operands: 'set --id ID',
  options: [
    {
      name: 'id',
      value: 'ID',
      help: 'Id of the session; the volume must belong to the same session',
    },
    {
      name: 'runtime-version',
      value: 'VERSION',
      help: 'Version of the software in the guest; stored in the mark of the volume',
    },
    {
      name: 'env',
      short: 'e',
      value: 'NAME=VALUE',
      multiple: true,
      help: 'Set a variable for all commands; NAME alone takes the value that guestctl has',
    },
    {
      name: 'idle',
      value: 'TIME',
      help: 'Stop the session after this time without work: 30m; a plain number is in seconds; 0: never',
    },
    {
      name: 'lifetime',
      value: 'TIME',
      help: 'Stop the session this long after the first start of guestd in this boot: 8h; 0: never',
    },
    ...limitOptions,
    {
      name: 'host-time',
      help: 'Send the time of this host, for the expiry of the volume; onExpired: reset needs it',
    },
    { name: 'json', help: 'Print the session as JSON' },
  ],
  details: `With the id and the runtime version of the current session, it replaces everything else. Options that
are left out get the values of guestd's settings. The limits apply to commands that set none of their
own. Running commands keep the values that they started with.
  guestctl session set --id s-42 -e CI=1 --idle 30m --lifetime 8h`,
  run: async (args, { client, stdout, env }) => {
    const [verb, extra] = args.operands
    if (verb === undefined) throw new UsageError('session: say what to do: set')
    if (verb !== 'set') throw new UsageError(`there is no 'session ${verb}': set`)
    if (extra !== undefined) throw new UsageError(`'${extra}' is one argument too many`)
    const info = await client().assignSession(readSession(args, env))
    await stdout.write(args.has('json') ? `${JSON.stringify(info, null, 2)}\n` : `${info.id}\n`)
    return exitCodes.ok
  },
}

function readSession(args: Arguments, env: NodeJS.ProcessEnv): SessionRequest {
  const id = args.value('id')
  if (id === undefined || id === '') throw new UsageError('--id ID is missing')
  const runtimeVersion = args.value('runtime-version')
  const limits = readLimits(args)
  const duration = (name: string) => {
    const text = args.value(name)
    return text === undefined ? undefined : parseDuration(`--${name}`, text)
  }
  const idleMs = duration('idle')
  const lifetimeMs = duration('lifetime')
  return {
    id,
    ...(args.has('host-time') ? { hostTime: new Date().toISOString() } : {}),
    ...(runtimeVersion === undefined ? {} : { runtimeVersion }),
    ...(args.has('env') ? { env: parseEnv(args.values('env'), env) } : {}),
    ...(limits === undefined ? {} : { limits }),
    ...(idleMs === undefined ? {} : { idleMs }),
    ...(lifetimeMs === undefined ? {} : { lifetimeMs }),
  }
}
