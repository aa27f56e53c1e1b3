/** Names in the workspace belong to its users: nothing that they are or become ends, blocks or misleads guestd. */
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { mountDeafFuse } from '../helpers/fuse.ts'
import { type Guestd, run as runCommand, startGuestd, until } from '../helpers/guestd.ts'
import { openNotifySocket } from '../helpers/notify-socket.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { infoOf, usageOf } from '../helpers/session.ts'
import { attach, makeImage, makeMountPoint } from '../helpers/volume.ts'

const UNPRIVILEGED = 'nobody'

const MIB = 1024 * 1024
/** guestd looks at its status every 2 s. */
const STATUS_MS = 2_500
const EXACT = { mkfs: ['-b', '4096', '-m', '0'] }

t.setTimeout(120_000)

async function bytesOf(guestd: Guestd) {
  const usage = await usageOf(guestd)
  return [usage?.usedBytes, usage?.capBytes] as const
}

const disguises = {
  'a link to itself': 'ln -s lost+found lost+found',
  'a link that leads nowhere': 'ln -s /nowhere lost+found',
  'a link to a large file': `ln -s ${process.execPath} lost+found`,
  'a FIFO': 'mkfifo lost+found',
  'a folder of the user': 'mkdir lost+found && rmdir lost+found',
}

t.test('whatever gets the name lost+found, guestd goes on and its usage is exact', async t => {
  const workspace = attach(t, makeImage(t, EXACT))
  const address = join(makeScratch(t), 'notify')
  await openNotifySocket(t, address)
  const config = { workspace, workspaceMount: makeMountPoint(t), user: UNPRIVILEGED }
  const guestd = await startGuestd(t, { config, env: { NOTIFY_SOCKET: address } })
  const { pid } = guestd
  const before = await bytesOf(guestd)
  t.equal(before[0], 0)
  for (const [name, make] of Object.entries(disguises)) {
    const command = `[ ! -d lost+found ] || mv lost+found .lf; rm -f lost+found; ${make}; sync -f .`
    t.equal((await runCommand(guestd, { command })).exit.exitCode, 0)
    t.same(await bytesOf(guestd), before, name)
    t.equal((await guestd.request('GET', '/readyz')).status, 200, name)
    t.equal((await guestd.request('GET', '/v1/session/largest')).status, 200, name)
    await sleep(name === 'a link to itself' ? STATUS_MS : 0)
  }
  const restart = async () => {
    await guestd.stop()
    await guestd.start()
  }
  t.equal(guestd.pid, pid, 'it was not started again')
  await runCommand(guestd, { command: 'rm -f lost+found; ln -s lost+found lost+found; sync -f .' })
  await restart()
  t.same(await bytesOf(guestd), before, 'a later guestd finds it by its inode')
})

t.test('a large file named lost+found counts like any other', async t => {
  const workspace = attach(t, makeImage(t, EXACT))
  const config = { workspace, workspaceMount: makeMountPoint(t), user: UNPRIVILEGED }
  const guestd = await startGuestd(t, { config })
  const [, capBytes] = await bytesOf(guestd)
  const command = 'mv lost+found .lf; head -c 8M /dev/zero > lost+found; sync -f .'
  await runCommand(guestd, { command })
  t.same(await bytesOf(guestd), [8 * MIB, capBytes])
  const { entries } = (await guestd.request('GET', '/v1/session/largest')).json()
  const [first] = entries as { path: string; bytes: number }[]
  t.equal(first?.bytes, 8 * MIB)
  t.match(first?.path, /\/lost\+found$/)
})

t.test('a FUSE over the workspace or in it that does not answer blocks no call', async t => {
  const at = makeMountPoint(t)
  const config = {
    workspace: attach(t, makeImage(t, EXACT)),
    workspaceMount: at,
    user: UNPRIVILEGED,
  }
  const guestd = await startGuestd(t, { config })
  await runCommand(guestd, { command: 'mkdir in; head -c 1M /dev/zero > file; sync -f .' })
  const before = await bytesOf(guestd)
  const look = async () => {
    t.same(await bytesOf(guestd), before)
    t.equal((await guestd.request('GET', '/readyz')).status, 200)
    t.equal((await guestd.request('POST', '/v1/session/flush')).json().clean, true)
    const { complete, entries } = (await guestd.request('GET', '/v1/session/largest')).json()
    const names = (entries as { path: string }[]).map(({ path }) => path.slice(at.length))
    t.same([complete, names.includes('/file')], [true, true])
  }
  await t.test('a FUSE inside the workspace', async t => {
    await mountDeafFuse(t, join(at, 'in'))
    await look()
  })
  await t.test('a FUSE over the workspace', async t => {
    await mountDeafFuse(t, at)
    await look()
  })
})

t.test('a FUSE in a folder that does not answer keeps no walk', async t => {
  const guestd = await startGuestd(t, {})
  const at = join(guestd.workspace, 'in')
  mkdirSync(at)
  await mountDeafFuse(t, at)
  execFileSync('sh', ['-c', `head -c 2M /dev/zero > ${guestd.workspace}/file`])
  await until(async () => ((await usageOf(guestd))?.usedBytes ?? 0) >= 2 * MIB)
  const { complete, entries } = (await guestd.request('GET', '/v1/session/largest')).json()
  t.same([complete, (entries as unknown[]).length], [true, 1])
})

t.test('what lies deeper than a path can name is counted', async t => {
  const guestd = await startGuestd(t, {})
  const script = `import os
for i in range(60):
  os.mkdir("d" * 200); os.chdir("d" * 200)
open("f", "wb").write(b"x" * (4 << 20))`
  await runCommand(guestd, { argv: ['python3', '-c', script] })
  const { complete, entries } = (await guestd.request('GET', '/v1/session/largest')).json()
  const [first] = entries as { bytes: number; files: number }[]
  t.same([complete, first?.files], [true, 61])
  t.ok((first?.bytes ?? 0) >= 4 * MIB, String(first?.bytes))
})

t.test(
  'deleted files elsewhere on the file system of a folder are not those of the workspace',
  async t => {
    const guestd = await startGuestd(t, {})
    const command = `exec 7> ${guestd.dir}/beside 8> within; rm ${guestd.dir}/beside within
    head -c 64K /dev/zero >&7; head -c 64K /dev/zero >&8; exec sleep 600`
    await guestd.request('POST', '/v1/commands', { body: { command, detach: true } })
    let paths: readonly string[] = []
    await until(async () => {
      const { deletedOpen } = (await guestd.request('GET', '/v1/session/largest')).json()
      paths = (deletedOpen as { path: string }[]).map(({ path }) => path)
      return paths.length > 0
    })
    t.same(paths, [join(guestd.workspace, 'within')])
    t.equal((await infoOf(guestd)).workspace.ok, true)
  },
)
