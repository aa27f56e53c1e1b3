import { spawnSync } from 'node:child_process'
import {
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { HEAD_BYTES, TAIL_BYTES } from '../../src/volume/content.ts'
import { SLOT_BYTES } from '../../src/volume/mark.ts'
import { DIST } from './build.ts'

const HELPER = join(DIST, 'guestd-helper')
const MIB = 1024 * 1024

interface Ended {
  readonly status: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

interface CallOptions {
  readonly input?: string | Uint8Array
  /** A path that is open as descriptor 3. */
  readonly workspace?: string
}

/** Runs the helper, which ends with a report on standard error when a sanitizer finds something. */
function call(args: readonly string[], { input = '', workspace }: CallOptions = {}): Ended {
  const fd = workspace === undefined ? null : openSync(workspace, 'r')
  const { status, stdout, stderr } = spawnSync(HELPER, args, {
    stdio: ['pipe', 'pipe', 'pipe', ...(fd === null ? [] : [fd])],
    env: {},
    input,
  })
  if (fd !== null) closeSync(fd)
  return { status, stdout, stderr: stderr.toString() }
}

const succeeds = (t: Test, args: readonly string[], options: CallOptions = {}) => {
  const { status, stdout, stderr } = call(args, options)
  t.equal(stderr, '', args.join(' '))
  t.equal(status, 0, args.join(' '))
  return stdout
}

function folderFor(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'guestd-helper-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

t.test('numbers that are wrong, or out of range, are refused', t => {
  const file = join(folderFor(t), 'file')
  writeFileSync(file, '')
  const wrong = [
    ...['-1', '', 'x', '1x', '9223372036854775808'].map(offset => ['read-mark', file, offset]),
    ['write-mark', file, '8192', '4096'],
    ['write-mark', file, '-1', '4096'],
    ['mount', file, file, 'x', '0'],
    ['mount', file, file, '-2', '0'],
    ['mount', file, file, '0', '4294967295'],
    ['trim', 'x'],
    ['trim', '-1'],
    ['largest', file, '0', '1'],
    ['largest', file, '99999999999', '1'],
    ['largest', file, '1', 'x'],
    ['enter'],
    ['clear'],
    ['clear', '1000'],
    ['clear', '1000', 'x', file],
  ]
  for (const args of wrong) {
    const { status, stderr } = call(args)
    t.match(stderr, /^(usage|arguments) EINVAL [^\n]+\n$/, args.join(' '))
    t.equal(status, 1, args.join(' '))
  }
  for (const args of [[], ['none'], ['mount'], ['read-head'], ['sync', 'x']])
    t.equal(call(args).status, 2, args.join(' '))
  t.end()
})

t.test('as much is read as the code of guestd expects', t => {
  const file = join(folderFor(t), 'file')
  for (const bytes of [0, 1, 5_000, 4 * MIB, 4 * MIB + 100]) {
    writeFileSync(file, '')
    truncateSync(file, bytes)
    t.equal(succeeds(t, ['read-head', file]).length, Math.min(bytes, HEAD_BYTES))
    t.equal(succeeds(t, ['open-exclusive', file]).length, Math.min(bytes, HEAD_BYTES))
    const tail = succeeds(t, ['read-tail', file]).length
    t.equal(tail, Math.min(bytes, TAIL_BYTES + (bytes % SLOT_BYTES)))
  }
  const slot = Buffer.alloc(SLOT_BYTES, 'm')
  succeeds(t, ['write-mark', file, String(MIB), String(MIB + SLOT_BYTES)], { input: slot })
  const slots = succeeds(t, ['read-mark', file, String(MIB)])
  t.same(slots, Buffer.concat([Buffer.alloc(SLOT_BYTES), slot]))
  t.match(call(['read-mark', file, String(8 * MIB)]), { status: 1, stderr: /^read ENODATA / })
  t.match(call(['write-mark', file, '0', '0'], { input: 'short' }), {
    ...{ status: 1, stderr: /^read ENODATA / },
  })
  t.end()
})

t.test('a tree is counted, a file with two names once', t => {
  const folder = folderFor(t)
  mkdirSync(join(folder, 'a/b/c'), { recursive: true })
  writeFileSync(join(folder, 'a/b/file'), Buffer.alloc(3 * 4096, 'x'))
  linkSync(join(folder, 'a/b/file'), join(folder, 'again'))
  const [bytes, inodes, unread] = succeeds(t, ['usage', folder]).toString().split(' ').map(Number)
  t.ok((bytes ?? 0) >= 3 * 4096)
  t.same([inodes, unread], [4, 0])
  const entries = succeeds(t, ['largest', folder, '1', '10000']).toString()
  t.match(entries, /^1 0\0\d+ \d+ (a|again)\0$/)
  const lines = succeeds(t, ['stats'], {
    input: [join(folder, 'again'), join(folder, 'none'), folder, ''].join('\0'),
  })
  t.match(lines.toString(), /^\d+ 2 24\n-\n\d+ 3 \d+\n$/)
  t.match(succeeds(t, ['own', folder]).toString(), /^\d+\n$/)
  t.end()
})

t.test('release and drain continue after a failed step', t => {
  const folder = folderFor(t)
  const info = openSync(folder, 'r')
  const [, id = ''] =
    /^mnt_id:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${info}`, 'utf8')) ?? []
  closeSync(info)
  const drained = succeeds(t, [
    ...['drain', 'sync', 'x', folder, 'sync', '1000000', folder, 'sync', id, folder],
    ...['device', 'leaf', join(folder, 'none'), 'sync', id, join(folder, 'none'), 'unpaired'],
  ])
  t.equal(drained.toString(), '0 open ESTALE\n1 open ESTALE\n4 open ENOENT\n')
  const paths = ['none', '/none/', join(folder, 'none'), `/${'x'.repeat(5_000)}`]
  for (const how of ['unmount', 'seclude', 'swapoff', 'other'])
    for (const path of paths) {
      const { status, stderr } = call(['release', how, path, 'other', path, 'unpaired'])
      t.match(stderr, /^release E[A-Z]+ [^\n]+\n$/, how)
      t.equal(status, 1, how)
    }
  succeeds(t, ['release'])
  t.end()
})

t.test('a lock is seen by others, and loop devices by their file', t => {
  const image = join(folderFor(t), 'image')
  writeFileSync(image, '')
  truncateSync(image, 4 * MIB)
  const device = succeeds(t, ['attach', image]).toString().trim()
  t.match(device, /^\/dev\/loop\d+$/)
  t.match(call(['attach', image]), { status: 1, stderr: /^fcntl EAGAIN / })
  t.equal(succeeds(t, ['loops', image]).toString(), `guestd ${device}\n`)
  t.ok(succeeds(t, ['backed']).toString().includes(`${device} `))
  t.equal(succeeds(t, ['drain', 'device', 'leaf', device]).toString(), '')
  succeeds(t, ['detach', device])
  t.match(call(['detach', device]), { status: 1, stderr: /^(ioctl|open) E/ })
  t.end()
})

t.test('the rest of the commands', t => {
  const folder = folderFor(t)
  succeeds(t, ['sync'], { workspace: folder })
  t.match(call(['sync']), { status: 1, stderr: /^syncfs EBADF / })
  t.match(call(['trim', '10'], { workspace: '/proc' }), { status: 1, stderr: /^ioctl ENOTTY / })
  t.match(call(['shutdown', join(folder, 'none')]), { status: 1, stderr: /^open ENOENT / })
  t.match(call(['unmount', join(folder, 'none')]), { status: 1, stderr: /^umount ENOENT / })
  t.match(call(['power', 'other']), { status: 1, stderr: /^reboot EINVAL / })
  t.equal(succeeds(t, ['ipc', '0', 'x', '4294967294']).toString(), '0\n')
  t.equal(succeeds(t, ['clear', '0,x,4294967294', '1000', folder]).toString(), '0 0 0\n')
  t.match(call(['enter', '../none/none', join(folder, 'none')]), {
    ...{ status: 1, stderr: /^execv ENOENT / },
  })
  t.equal(succeeds(t, ['enter', '../none/none', '/bin/echo', 'ran']).toString(), 'ran\n')
  t.end()
})
