/** guestctl volume */

import { checkVolume } from '../../volume/check.ts'
import { BLOCK_BYTES, createVolume, MIN_BYTES } from '../../volume/create.ts'
import { listVolumes, sweepVolumes } from '../../volume/folder.ts'
import { lookAtVolume } from '../../volume/look.ts'
import { type Arguments, type CliCommand, type Context, UsageError } from '../command.ts'
import { exitCodes } from '../exit-code.ts'
import { parseDuration, parseSize } from '../values.ts'
import { describeVolume, renderVolumes } from '../volume.ts'

const DEFAULT_SIZE = '1GiB'
const DEFAULT_LABEL = 'guestd-workspace'
const DEFAULT_AGE = '14d'
/** EXT4_LABEL_MAX, e2label(8). */
const MAX_LABEL_BYTES = 16
/** As sessions have it. */
const SESSION_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

export const volume: CliCommand = {
  name: 'volume',
  summary: 'Make, inspect, check, list and sweep workspace volumes on this host',
  operands: 'create|inspect|check FILE, or list|sweep FOLDER',
  options: [
    { name: 'size', value: 'SIZE', help: `create: what users get; default: ${DEFAULT_SIZE}` },
    { name: 'label', value: 'LABEL', help: `create: default: ${DEFAULT_LABEL}` },
    { name: 'session', value: 'ID', help: 'create: whose it is; default: the first to use it' },
    { name: 'repair', help: 'check: mend what is safe to mend' },
    {
      name: 'older-than',
      value: 'TIME',
      help: `sweep: unused for so long; default: ${DEFAULT_AGE}`,
    },
    { name: 'delete', help: 'sweep: remove them, and not only list them' },
    { name: 'json', help: 'Print JSON' },
  ],
  details: `It needs no guest and no root. create makes an image file whose ext4 gives users exactly the
size, to the byte, with a place for guestd's mark after it. check and sweep take the lock that QEMU
takes too: a volume that a machine uses is left alone. check ends with ${exitCodes.ownError} when the file system is not
sound. sweep only looks at volumes that have been used.`,
  run: async (args, context) => {
    const [verb, path, extra] = args.operands
    const act = verbs[verb ?? '']
    if (act === undefined)
      throw new UsageError(`there is no 'volume ${verb ?? ''}': ${Object.keys(verbs).join(', ')}`)
    if (path === undefined || path === '')
      throw new UsageError(`volume ${verb}: the path is missing`)
    if (extra !== undefined) throw new UsageError(`'${extra}' is one argument too many`)
    return await act(path, args, context)
  },
}

type Verb = (path: string, args: Arguments, context: Context) => Promise<number>

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`

const verbs: Readonly<Record<string, Verb>> = {
  async create(path, args, { stdout }) {
    const made = await createVolume(path, {
      bytes: sizeOf(args.value('size') ?? DEFAULT_SIZE),
      label: labelOf(args.value('label') ?? DEFAULT_LABEL),
      sessionId: sessionOf(args.value('session')),
    })
    await stdout.write(args.has('json') ? json(made) : describeVolume(made))
    return exitCodes.ok
  },
  async inspect(path, args, { stdout }) {
    const seen = lookAtVolume(path)
    await stdout.write(args.has('json') ? json(seen) : describeVolume(seen))
    return exitCodes.ok
  },
  async check(path, args, { stdout }) {
    const { text, ...checked } = await checkVolume(path, args.has('repair'))
    const verdict = checked.sound ? 'Sound' : 'NOT SOUND'
    await stdout.write(args.has('json') ? json({ ...checked, text }) : `${text}\n${verdict}\n`)
    return checked.sound ? exitCodes.ok : exitCodes.ownError
  },
  async list(path, args, { stdout }) {
    const volumes = await listVolumes(path)
    await stdout.write(args.has('json') ? json({ volumes }) : renderVolumes(volumes))
    return exitCodes.ok
  },
  async sweep(path, args, { stdout }) {
    const age = parseDuration('--older-than', args.value('older-than') ?? DEFAULT_AGE)
    const remove = args.has('delete')
    const volumes = await sweepVolumes(path, new Date(Date.now() - age), remove)
    if (args.has('json')) await stdout.write(json({ deleted: remove, volumes }))
    else await stdout.write(volumes.map(one => `${remove ? 'deleted ' : ''}${one.path}\n`).join(''))
    return exitCodes.ok
  },
}

function sizeOf(text: string): number {
  const bytes = parseSize('--size', text)
  if (bytes >= MIN_BYTES && bytes % BLOCK_BYTES === 0) return bytes
  throw new UsageError(`--size: '${text}' is not a multiple of 4 KiB from 16 MiB on`)
}

function labelOf(text: string): string {
  const bytes = Buffer.byteLength(text)
  if (bytes <= MAX_LABEL_BYTES) return text
  throw new UsageError(
    `--label: '${text}' has ${bytes} bytes; a label has ${MAX_LABEL_BYTES} at most`,
  )
}

function sessionOf(id: string | undefined): string | null {
  if (id === undefined || SESSION_ID.test(id)) return id ?? null
  throw new UsageError(`--session: '${id}' is not the id of a session`)
}
