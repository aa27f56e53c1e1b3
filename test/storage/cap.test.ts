/** Nothing that a command can do passes the cap, and each attempt ends in a clean error. */

import { join } from 'node:path'
import t from 'tap'
import { createVolume } from '../../src/volume/create-volume.ts'
import { type Guestd, run as runCommand, startGuestd } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { knownUsageOf } from '../helpers/session.ts'
import { attach, makeMountPoint } from '../helpers/volume.ts'

const MIB = 1024 * 1024
const GIB = 1024 * MIB
/** Of a file that has all of the space: its extents fill one block. */
const TREE_BYTES = 4096
/** An ordinary user; that it has a name does not matter. */
const USER = 'nobody'
/** Hundreds of thousands of files, one after the other. */
const LONG_MS = 10 * 60_000

t.setTimeout(LONG_MS)

async function onVolume(bytes: number): Promise<Guestd> {
  const image = join(makeScratch(t), 'volume.img')
  await createVolume(image, { bytes, label: 'cap', sessionId: null })
  const config = {
    workspace: attach(t, image),
    workspaceMount: makeMountPoint(t),
    user: USER,
    timeoutMs: LONG_MS,
  }
  return startGuestd(t, { config })
}

/** The first error that a system call gives, by its name. `gone`: the space is free again at the exit. */
const attempts: Record<string, { script: string; error: string; gone?: boolean }> = {
  'one file': { script: 'write(open("f", "wb", 0), 0)', error: 'ENOSPC' },
  'a file with holes, filled afterwards': {
    script: 'f = open("f", "wb", 0); f.truncate(1 << 40); write(f, 0)',
    error: 'ENOSPC',
  },
  fallocate: {
    script:
      'f = open("f", "wb", 0)\nfor i in range(200): os.posix_fallocate(f.fileno(), i << 20, 1 << 20)',
    error: 'ENOSPC',
  },
  'a file without a name': {
    script: 'write(os.fdopen(os.open(".", os.O_TMPFILE | os.O_RDWR), "wb", 0), 0)',
    error: 'ENOSPC',
    gone: true,
  },
  'a file that is deleted and held open': {
    script: 'f = open("f", "wb", 0); os.unlink("f"); write(f, 0)',
    error: 'ENOSPC',
    gone: true,
  },
  'hard links, each of a new file': {
    script:
      'for i in range(10**6):\n  f = open(f"f{i}", "wb", 0); f.write(page); os.link(f"f{i}", f"l{i}"); f.close()',
    error: 'ENOSPC',
  },
  'extended attributes': {
    script:
      'for i in range(10**6):\n  open(f"f{i}", "w").close(); os.setxattr(f"f{i}", "user.x", b"x" * 3000)',
    error: 'ENOSPC',
  },
  'long symbolic links': {
    script: 'for i in range(10**6): os.symlink("x" * 4000, f"l{i}")',
    error: 'ENOSPC',
  },
  'empty folders': { script: 'for i in range(10**6): os.mkdir(f"d{i}")', error: 'ENOSPC' },
}

const PRELUDE = `
import errno, os, sys
page = b"x" * 4096
def write(f, at):
  f.seek(at)
  while True: f.write(page * 64)
`

const program = (script: string) => `${PRELUDE}
try:
${script.replaceAll(/^/gm, '  ')}
except OSError as error:
  print(errno.errorcode[error.errno])`

t.test('no kind of file exceeds the cap', async t => {
  const guestd = await onVolume(32 * MIB)
  const { capBytes } = await knownUsageOf(guestd)
  t.equal(capBytes, 32 * MIB)
  for (const user of [USER, 'root']) {
    for (const [name, { script, error, gone = false }] of Object.entries(attempts)) {
      const argv = ['python3', '-c', program(script)]
      const body = { argv, user, cwd: '.', background: 'kill' }
      const { stdout, stderr, exit } = await runCommand(guestd, body)
      t.match({ stdout, stderr }, { stdout: `${error}\n`, stderr: '' }, `${name}, as ${user}`)
      if (!gone) t.ok(exit.workspaceFull !== null, `${name}: the exit says that it was full`)
      const { usedBytes } = await knownUsageOf(guestd)
      t.ok(usedBytes <= capBytes, `${name}: ${usedBytes}`)
      await runCommand(guestd, {
        command: 'find . -mindepth 1 -not -name lost+found -delete; sync -f .',
        user: 'root',
        cwd: '.',
      })
    }
  }
})

t.test('no mmap exceeds the cap: the process gets SIGBUS', async t => {
  const guestd = await onVolume(32 * MIB)
  const script = `${PRELUDE}
import mmap
f = open("f", "w+b", 0)
f.truncate(1 << 30)
m = mmap.mmap(f.fileno(), 1 << 30)
for at in range(0, 1 << 30, 4096): m[at] = 1`
  const { exit } = await runCommand(guestd, { argv: ['python3', '-c', script] })
  t.match(exit, { signal: 'SIGBUS', workspaceFull: 'bytes' })
  t.ok((await knownUsageOf(guestd)).usedBytes <= 32 * MIB)
})

t.test('no file attribute exceeds the cap: chattr changes nothing', async t => {
  const guestd = await onVolume(32 * MIB)
  const command = `touch f; for a in +P +i +c +j; do chattr $a f 2>/dev/null; chattr -p 77 f 2>/dev/null; done
    chattr -i f 2>/dev/null; cat /dev/zero >>f; stat -c %s f`
  for (const user of [USER, 'root']) {
    const { stdout, stderr } = await runCommand(guestd, { command, user, cwd: '.' })
    t.match(stderr, /No space left on device/)
    t.ok(Number(stdout) <= 32 * MIB && Number(stdout) > 31 * MIB, stdout)
    const empty = 'chattr -i f; rm f; sync -f .'
    await runCommand(guestd, { command: empty, user: 'root', cwd: '.' })
  }
})

t.test('a user and root alike get 1 GiB, less the one block of the file’s extents', async t => {
  const guestd = await onVolume(GIB)
  for (const user of [USER, 'root']) {
    // A large write fails whole; what is left then takes small ones.
    const command = 'cat /dev/zero >f; dd if=/dev/zero bs=4096 >>f; stat -c %s f; rm f; sync -f .'
    const { stdout, stderr } = await runCommand(guestd, { command, user, cwd: '.' })
    t.match(stderr, /No space left on device/)
    t.equal(Number(stdout), GIB - TREE_BYTES, user)
  }
})

t.test(
  '300,000 tiny files end in a clean error, and what is full can be emptied and stopped',
  async t => {
    const guestd = await onVolume(GIB)
    const script =
      'for i in range(300_000):\n  f = open(f"f{i}", "wb", 0); f.write(b"x"); f.close()'
    const { stdout, exit } = await runCommand(guestd, { argv: ['python3', '-c', program(script)] })
    t.equal(stdout, 'ENOSPC\n')
    t.ok(exit.workspaceFull !== null)
    const flushed = (await guestd.request('POST', '/v1/session/flush')).json()
    t.match(flushed, { clean: true }, 'a full workspace can be flushed')
    t.match(await runCommand(guestd, { command: 'rm f1; echo made >room && cat room' }), {
      stdout: 'made\n',
    })
    const stopped = (await guestd.request('POST', '/v1/session/stop')).text
    t.match(JSON.parse(stopped.trimEnd().split('\n').at(-1) ?? ''), {
      clean: true,
      outcome: 'unmount',
    })
  },
)
