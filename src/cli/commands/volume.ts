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
  summary: 'Create, inspect, check, list and sweep workspace volumes on this host',
  operands: 'create|inspect|check|adopt FILE, or list|sweep FOLDER',
  options: [
    {
      name: 'size',
      value: 'SIZE',
      help: `create: space for users, 16MiB to 8TiB; default: ${DEFAULT_SIZE}`,
    },
    { name: 'files', value: 'N', help: 'create: number of files; default: one for every 4 KiB' },
    {
      name: 'mmp',
      help: 'create: protect a device that several hosts share from use by two of them at once',
    },
    { name: 'label', value: 'LABEL', help: `create: default: ${DEFAULT_LABEL}` },
    {
      name: 'session',
      value: 'ID',
      help: 'create, adopt: session of the volume; default for create: the first that uses it',
    },
    {
      name: 'repair',
      word: 'full',
      help: 'check: repair what loses no data; full: repair all, and list each change',
    },
    {
      name: 'idle',
      value: 'TIME',
      help: `Time without use after which a volume expires; default: ${DEFAULT_IDLE}`,
    },
    { name: 'dry-run', help: 'sweep: only show what would be deleted' },
    { name: 'json', help: 'Print JSON' },
  ],
  details: `It needs no guest and no root. create makes an image file whose ext4 gives users exactly the
size, to the byte, with room for guestd's mark after it. sweep DELETES the volumes that have not been
used for the time of --idle. Files that were never used, or are not volumes, stay. adopt assigns a
volume whose mark cannot be read to the session of --session. Its files stay.

A volume in use is never changed: inspect and check fail and name the user of the volume, and list
shows it. A volume is in use if QEMU has locked it, if it has a loop device or a mount, or if a process
has it open for writing. Only root sees the processes of other users. check exits with ${exitCodes.ownError} if the file
system is not sound, and list and sweep if a file could not be read or deleted.`,
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

/** The verbs that take an option. All verbs take the options that are not listed. */
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
    const found = await inspectVolume(path, idleOf(args))
    if (found.holders.length > 0) throw new InUseError(path, found.holders)
    await stdout.write(args.has('json') ? json(found) : describeVolume(found))
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
    const found = await inspectVolume(path, idleOf(args))
    await stdout.write(args.has('json') ? json(found) : describeVolume(found))
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

/** A plain number would mean seconds. A user who meant days would lose all volumes. */
function idleOf(args: Arguments): number {
  const text = args.value('idle') ?? DEFAULT_IDLE
  if (/^[\d.]+$/.test(text))
    throw new UsageError(`--idle: '${text}' has no unit: ${text}d, ${text}h or ${text}m`)
  const idleMs = parseDuration('--idle', text)
  if (idleMs > 0) return idleMs
  throw new UsageError(
    `--idle: with '${text}' every volume that was ever used has expired: use 1s for that`,
  )
}
