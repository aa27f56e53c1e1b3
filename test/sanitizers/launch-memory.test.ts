import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import t from 'tap'
import { ownCgroup } from '../../src/sys/cgroup.ts'
import { matchExactly } from '../helpers/match-exactly.ts'

/** What `faults.c` adds to the addon. */
export interface Faults {
  failCall(n: number): void
  failedCall(): string | null
  liveBlocks(): number
}

/** One launch in which a call of the addon has failed; `failedCall` is `null` when none was left. */
export interface FaultRow {
  readonly failedCall: string | null
  readonly kind: string
  readonly stage: string | null
  readonly errno: string | null
  readonly interpreter: string | null
  /** Path of the cgroup of the command. */
  readonly leaf: string
  /** What the command wrote. */
  readonly output: string
  /** Read from the cgroup after the command; `null`: the cgroup was not made. */
  readonly limits: readonly (string | null)[]
  /** Blocks of memory that were not freed. */
  readonly leaked: number
}

const { GUESTD_TEST_DIST = '', GUESTD_TEST_PRELOAD = '' } = process.env
const ADDON = join(GUESTD_TEST_DIST, 'guestd_native.node')
const CHILD = join(import.meta.dirname, 'launch-faults.ts')

function launchWithEachFault(cgroup: string, program: string): FaultRow[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CHILD, ADDON, cgroup, program], {
    encoding: 'utf8',
    env: { LD_PRELOAD: GUESTD_TEST_PRELOAD, ASAN_OPTIONS: 'detect_leaks=0' },
  })
  if (status !== 0) throw new Error(`${status}: ${stderr}`)
  return stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
}

const parent = ownCgroup() ?? ''
const isGood = ({ failedCall }: FaultRow) => failedCall === null

t.test('each call that fails refuses the launch, or ends a command that runs as it should', t => {
  const cgroup = join(parent, `guestd-faults-${process.pid}`)
  const rows = launchWithEachFault(cgroup, '/bin/sh')
  const whole = ({ leaf }: FaultRow) =>
    `${[
      ...['3 one two three', 'first second third'],
      ...['Uid: 65534 65534 65534 65534', 'Gid: 65533 65533 65533 65533', 'Groups: 7 8'],
      `0::/${basename(cgroup)}/${basename(leaf)}`,
    ].join('\n')}\n`
  const [good, bad] = [rows.filter(isGood), rows.filter(row => !isGood(row))]
  t.equal(good.length, 2)
  for (const row of good) {
    t.equal(row.kind, 'running')
    t.equal(row.output, whole(row))
    t.same(row.limits, ['7', '3'])
  }
  for (const row of bad) {
    const { failedCall, kind, stage, errno, output, limits, leaked } = row
    const facts = JSON.stringify(row)
    t.equal(kind, 'failed', facts)
    t.match(errno, /^(ENOMEM|EAGAIN|EINVAL|ERR_INVALID_ARG_VALUE|ERR_MISSING_ARGS)$/, facts)
    t.equal(leaked, 0, facts)
    if (stage === 'watch') {
      // It was started, and killed: what it wrote until then is the beginning of the whole.
      t.ok(whole(row).startsWith(output), facts)
      t.same(limits, ['7', '3'], facts)
    } else {
      t.equal(stage, 'thread', facts)
      t.equal(output, '', `${failedCall}`)
      t.same(limits, [null, null], facts)
    }
  }
  const failed = new Set(bad.map(({ failedCall }) => failedCall))
  t.same([...failed].sort(), [
    'calloc',
    'malloc',
    'napi_create_reference',
    'napi_get_array_length',
    'napi_get_cb_info',
    'napi_get_element',
    'napi_get_named_property',
    'napi_get_uv_event_loop',
    'napi_get_value_bool',
    'napi_get_value_double',
    'napi_get_value_string_utf8',
    'napi_typeof',
    'pthread_attr_init',
    'pthread_attr_setdetachstate',
    'pthread_attr_setstacksize',
    'pthread_create',
    'pthread_mutex_init',
    'uv_poll_init',
  ])
  t.ok(bad.length > 2 * failed.size, `${bad.length} calls`)
  t.end()
})

t.test('without memory for the name of a missing interpreter the launch fails without it', t => {
  const folder = mkdtempSync(join(tmpdir(), 'guestd-faults-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  chmodSync(folder, 0o755)
  const script = join(folder, 'script')
  writeFileSync(script, '#!/none/interpreter\n', { mode: 0o755 })
  const rows = launchWithEachFault(join(parent, `guestd-interpreter-${process.pid}`), script)
  for (const row of rows) {
    t.equal(row.kind, 'failed', JSON.stringify(row))
    t.equal(row.output, '')
    t.equal(row.leaked, 0, JSON.stringify(row))
  }
  matchExactly(t, rows.at(-1), {
    failedCall: null,
    stage: 'exec',
    interpreter: '/none/interpreter',
  })
  t.match(
    rows.find(({ failedCall }) => failedCall === 'strdup'),
    { stage: 'exec', errno: 'ENOENT' },
  )
  t.end()
})
