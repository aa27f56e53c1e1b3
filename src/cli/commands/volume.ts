/** guestctl volume */

import { adoptVolume } from '../../volume/adopt.ts'
import { checkVolume, type Repair } from '../../volume/check-volume.ts'
import { createVolume } from '../../volume/create-volume.ts'
import { InUseError } from '../../volume/image-users.ts'
import { inspectNew, inspectVolume } from '../../volume/inspect-volume.ts'
import { listVolumes, sweepVolumes } from '../../volume/volume-folder.ts'
import { type Arguments, type CliCommand, type Context, UsageError } from '../command-spec.ts'
import { exitCodes } from '../exit-code.ts'
import { parseDuration } from '../values.ts'
import { renderCheck } from '../volume-check.ts'
import { DEFAULT_LABEL, DEFAULT_SIZE, readCreateOptions, sessionOf } from '../volume-options.ts'
import { describeVolume, renderSwept, renderVolumes } from '../volume-text.ts'

const DEFAULT_IDLE = '14d'

export const volume: CliCommand = {
  name: 'volume',
  summary: 'Make, inspect, check, list and sweep workspace volumes on this host',
  operands: 'create|inspect|check|adopt FILE, or list|sweep FOLDER',
  options: [
    {
      name: 'size',
      value: 'SIZE',
      help: `create: what users get, 16MiB to 8TiB; default: ${DEFAULT_SIZE}`,
    },
    { name: 'files', value: 'N', help: 'create: room for so many; default: one for every 4 KiB' },
    { name: 'mmp', help: 'create: for a device that several hosts see: they keep each other out' },
    { name: 'label', value: 'LABEL', help: `create: default: ${DEFAULT_LABEL}` },
    {
      name: 'session',
      value: 'ID',
      help: 'create, adopt: whose it is; create: default: the first to use it',
    },
    {
      name: 'repair',
      word: 'full',
      help: 'check: repair what loses nothing; full: all, and list each change',
    },
    { name: 'idle', value: 'TIME', help: `When one expires; default: ${DEFAULT_IDLE} unused` },
    { name: 'dry-run', help: 'sweep: only tell what would be deleted' },
    { name: 'json', help: 'Print JSON' },
  ],
  details: `It needs no guest and no root. create makes an image file whose ext4 gives users exactly the
size, to the byte, with a place for guestd's mark after it. sweep DELETES the volumes that nobody has
used for the time of --idle; a file that was never used, or is no volume, stays. adopt gives a volume whose
mark cannot be read to the session of --session; its files stay.

A volume that is in use is left alone: inspect and check are refused, with who has it; list tells it.
In use is one with a lock of QEMU's kind, with a loop device or a mount, or open for writing; processes
of other users only root can see. check ends with ${exitCodes.ownError} when the file system is not sound, list and
sweep when a file could not be read or deleted.`,
  waitsUntil: 'nothing',
  run: async (args, context) => {
    const [verb, path, extra] = args.operands
    const act = Object.hasOwn(verbs, verb ?? '') ? verbs[verb ?? ''] : undefined
    const known = Object.keys(verbs).join(', ')
    if (verb === undefined) throw new UsageError(`volume: say what to do: ${known}`)
    if (act === undefined) throw new UsageError(`there is no 'volume ${verb}': ${known}`)
    if (path === undefined || path === '')
      throw new UsageError(`volume ${verb}: the path is missing`)
    if (extra !== undefined) throw new UsageError(`'${extra}' is one argument too many`)
    const foreign = Object.entries(verbsOf).find(
      ([option, of]) => args.has(option) && !of.includes(verb),
    )
    if (foreign !== undefined)
      throw new UsageError(
        `volume ${verb} takes no --${foreign[0]}: that is for ${foreign[1].join(', ')}`,
      )
    return await act(path, args, context)
  },
}

/** Which of them take an option; all take the others. */
const verbsOf: Readonly<Record<string, readonly string[]>> = {
  size: ['create'],
  files: ['create'],
  mmp: ['create'],
  label: ['create'],
  session: ['create', 'adopt'],
  repair: ['check'],
  idle: ['inspect', 'list', 'sweep'],
  'dry-run': ['sweep'],
}

type Verb = (path: string, args: Arguments, context: Context) => Promise<number>

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`

const verbs: Readonly<Record<string, Verb>> = {
  async create(path, args, { stdout }) {
    const made = inspectNew(await createVolume(path, readCreateOptions(args)))
    await stdout.write(args.has('json') ? json(made) : describeVolume(made))
    return exitCodes.ok
  },
  async inspect(path, args, { stdout }) {
    const seen = await inspectVolume(path, idleOf(args))
    if (seen.holders.length > 0) throw new InUseError(path, seen.holders)
    await stdout.write(args.has('json') ? json(seen) : describeVolume(seen))
    return exitCodes.ok
  },
  async check(path, args, { stdout }) {
    const checked = await checkVolume(path, repairOf(args))
    await stdout.write(args.has('json') ? json(checked) : renderCheck(checked))
    return checked.sound ? exitCodes.ok : exitCodes.ownError
  },
  async adopt(path, args, { stdout }) {
    const id = sessionOf(args.value('session'))
    if (id === null) throw new UsageError('volume adopt: say whose it is: --session ID')
    await adoptVolume(path, id)
    const seen = await inspectVolume(path, idleOf(args))
    await stdout.write(args.has('json') ? json(seen) : describeVolume(seen))
    return exitCodes.ok
  },
  async list(path, args, { stdout }) {
    const { volumes, unread } = await listVolumes(path, idleOf(args))
    await stdout.write(
      args.has('json') ? json({ volumes, unread }) : renderVolumes(volumes, unread),
    )
    return unread.length === 0 ? exitCodes.ok : exitCodes.ownError
  },
  async sweep(path, args, { stdout }) {
    const dryRun = args.has('dry-run')
    const volumes = await sweepVolumes(path, idleOf(args), dryRun)
    await stdout.write(args.has('json') ? json({ dryRun, volumes }) : renderSwept(volumes))
    return volumes.some(one => one.outcome === 'failed') ? exitCodes.ownError : exitCodes.ok
  },
}

function repairOf(args: Arguments): Repair {
  if (!args.has('repair')) return 'none'
  return args.value('repair') === 'full' ? 'full' : 'safe'
}

/** A bare number would be seconds: who means days would lose all that there is. */
function idleOf(args: Arguments): number {
  const text = args.value('idle') ?? DEFAULT_IDLE
  if (/^[\d.]+$/.test(text))
    throw new UsageError(`--idle: '${text}' has no unit: ${text}d, ${text}h or ${text}m`)
  const idleMs = parseDuration('--idle', text)
  if (idleMs > 0) return idleMs
  throw new UsageError(`--idle: with '${text}' all that was ever used has expired: say 1s for that`)
}
