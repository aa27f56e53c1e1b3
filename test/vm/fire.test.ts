/** A stop under fire: writers that never sync, will not end, or hide; then the power is cut. */

import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { makeVolume } from '../../vm/workspace-volume.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { attach, fsck, makeMountPoint, run as runTool } from '../helpers/volume.ts'
import { asRoot, openClient, seen } from './ask.ts'
import { bootGuest } from './harness.ts'

const MIB = 1024 * 1024
/** All of what is dirty has room in it twice. */
const MEMORY_MIB = 3072
const DIRTY_MIB = 900
/** Beside the others, on a volume of 1 GiB. */
const DELETED_MIB = 50
/** What is written out before the stop, whatever the settings: journal, tables, a busy machine's own. */
const LEAST_DIRTY_MIB = 600
const WRITERS = 8
/** Hundreds of MiB are written by a machine whose instructions are translated. */
const LONG_MS = 10 * 60_000

t.setTimeout(20 * 60_000)

const volume = path.join(makeScratch(t), 'volume')
await makeVolume(volume)
const guest = await bootGuest(t, {
  volume,
  memoryMiB: MEMORY_MIB,
  // In the background nothing is flushed: all of it is left for the stop.
  overlay: {
    '/etc/guestd/config.json': JSON.stringify({
      workspace: 'LABEL=guestd-workspace',
      user: 'agent',
      flushEveryMs: 3_600_000,
      killGraceMs: 2_000,
    }),
  },
})
const client = openClient(t, guest)

/** Appends lines and never syncs them; a line is on stdout once its write has returned. */
const writer = (name: string) => `
import itertools, os
file = os.open("${name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for n in itertools.count():
  os.write(file, b"%d\\n" % n)
  os.write(1, b"%d\\n" % n)`

/**
 * Each MiB is its own number, again and again. Its blocks are there before: ext4 writes out at once what
 * has none yet and comes to half of what is free (ext4_nonda_switch in fs/ext4/inode.c).
 */
const FILL = `
import os
with open("dirty", "wb", 0) as file:
  os.posix_fallocate(file.fileno(), 0, ${DIRTY_MIB * MIB})
  for n in range(${DIRTY_MIB}):
    file.write(n.to_bytes(8, "big") * ${MIB / 8})`

function isWhole(file: string): boolean {
  const [fd, expected, found] = [openSync(file, 'r'), Buffer.alloc(MIB), Buffer.alloc(MIB)]
  try {
    for (let n = 0; n < DIRTY_MIB; n++) {
      const number = Buffer.alloc(8)
      number.writeBigUInt64BE(BigInt(n))
      expected.fill(number)
      if (readSync(fd, found, 0, MIB, n * MIB) !== MIB || !found.equals(expected)) return false
    }
    return true
  } finally {
    closeSync(fd)
  }
}

/** What a writer had reported when its output ended. */
const reported: Record<string, Promise<number>> = {}

async function startWriter(name: string, how = 'exec'): Promise<void> {
  const command = `${how} python3 -c '${writer(name)}'`
  await client.start({ id: name, command })
  reported[name] = (async () => {
    let last = ''
    for await (const frame of client.output(name, { follow: true })) {
      if (frame.type === 'output') last = (last + Buffer.from(frame.bytes)).slice(-100)
    }
    return Number(last.trimEnd().split('\n').at(-1))
  })().catch(() => Number.NaN)
  await seen(client, name, '1\n')
}

t.test('there is every kind of writer, and hundreds of MiB to write out', async () => {
  const sysctl = 'sysctl -qw vm.dirty_ratio=90 vm.dirty_background_ratio=80'
  await asRoot(client, `${sysctl} vm.dirty_expire_centisecs=360000 vm.dirty_writeback_centisecs=0`)
  const stopped = 'echo x >stopped; echo up; kill -STOP $$; sleep 1000'
  await client.start({ id: 'stopped', command: stopped })
  await seen(client, 'stopped', 'up')
  const holder = `exec 3<>deleted; rm deleted; head -c ${DELETED_MIB * MIB} /dev/zero >&3; echo up; sleep 1000`
  await client.start({ id: 'deleted', command: holder })
  const namespace = "exec unshare --mount --propagation private bash -c 'echo up; sleep 1000'"
  await client.start({ id: 'namespace', command: namespace, user: 'root', cwd: '.' })
  for (const id of ['deleted', 'namespace']) await seen(client, id, 'up')
  const dirty = `python3 -c '${FILL}'; echo up; sleep 1000`
  await client.start({ id: 'dirty', command: dirty, timeoutMs: LONG_MS })
  await seen(client, 'dirty', 'up')
  // They take all of the processors' time, so they come last.
  for (let n = 0; n < WRITERS; n++) await startWriter(`writer-${n}`)
  await startWriter('stubborn', 'trap "" TERM; exec')
  await startWriter('own-session', 'exec setsid --wait')
})

t.test('the stop ends them all, and its receipt is true', async t => {
  const [one, two] = await Promise.all(
    [1, 2].map(() => guestctl(['stop', '--json'], { connect: guest.connect })),
  )
  t.equal(one?.code, 0, `${one?.out}${one?.err}`)
  const receipt = (text = '') => JSON.parse(text.trimEnd().split('\n').at(-1) ?? '')
  matchExactly(t, receipt(one?.out), {
    type: 'receipt',
    clean: true,
    outcome: 'unmount',
    errors: [],
  })
  t.same(receipt(two?.out), receipt(one?.out), 'asked for twice it is one stop')
  const { dirtyBytes, flushMs, ms } = receipt(one?.out)
  t.ok(dirtyBytes > LEAST_DIRTY_MIB * MIB, `${dirtyBytes / MIB} MiB were dirty`)
  t.comment(`they were written out in ${flushMs} ms, all of the end took ${ms} ms`)
  t.match(await client.session(), { state: 'stopped', lastStop: { clean: true } })
  await guest.kill()

  t.equal(fsck(volume).status, 0)
  const at = makeMountPoint(t)
  runTool('mount', '-o', 'ro', attach(t, volume, '--read-only'), at)
  for (const [name, last] of Object.entries(reported)) {
    const lines = readFileSync(path.join(at, name), 'utf8').trimEnd().split('\n')
    const whole = lines.every((line, n) => line === String(n))
    t.ok(whole, `${name}: ${lines.length} lines, in order`)
    t.ok(lines.length > (await last), `${name}: ${await last} was reported`)
  }
  t.equal(readFileSync(path.join(at, 'stopped'), 'utf8'), 'x\n')
  const dirty = statSync(path.join(at, 'dirty'))
  t.equal(dirty.size, DIRTY_MIB * MIB)
  t.ok(dirty.blocks * 512 >= dirty.size, 'all of it has its place')
  t.ok(isWhole(path.join(at, 'dirty')), 'and is as it was written')
  t.notOk(readdirSync(at).includes('deleted'))
})
