/** A session's life: worked in, stopped, resumed in a fresh machine, and every byte is there. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { ensureModulesImage } from '../../rootfs/modules-image.ts'
import type { GuestdClient } from '../../src/client/index.ts'
import { makeVolume } from '../../vm/workspace-volume.ts'
import { LONG } from '../helpers/long.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { asRoot, mountDisk, mounted, openClient, run } from './ask.ts'
import { bootGuest, type Guest } from './harness.ts'

const MODULES = '/opt/node_modules'
const FIXTURES = path.join(import.meta.dirname, 'fixtures')
const fixture = (name: string) => readFileSync(path.join(FIXTURES, name), 'utf8')
/** Thousands of small files under translation, on a busy host. */
const LONG_MS = 10 * 60_000
/** A line each: some thousands of packages' files, and the repository's. */
const MANIFEST_BYTES = 32 * 1024 * 1024
/** Each way to end a machine once; more in the long form. */
const STOPS_AND_RESUMES = LONG ? 5 : 2

t.setTimeout(40 * 60_000)

const volume = path.join(makeScratch(t), 'volume')
await makeVolume(volume)
const modules = await ensureModulesImage()

/** All that a round changes, and the folders whose times change with it. */
const CHANGED = ['./rounds', './base.db-shm', './repo/.git']
const isChanged = (line: string) =>
  CHANGED.some(path => line.startsWith(`('${path}'`) || line.startsWith(`('${path}/`))

/**
 * As root, who can read files of every mode.
 * @param paths below these alone; all without any
 */
async function manifest(t: Test, guest: Guest, paths: readonly string[] = []): Promise<string[]> {
  const request = {
    argv: ['python3', '-c', fixture('manifest.py'), ...paths],
    user: 'root',
    cwd: '.',
    timeoutMs: LONG_MS,
  }
  const { out, err, exitCode } = await run(openClient(t, guest), request, MANIFEST_BYTES)
  if (exitCode !== 0) throw new Error(err)
  return out.trimEnd().split('\n').sort()
}

/** Ways to end a machine that leave the workspace clean. After guestctl's receipt the power is cut. */
const ways: readonly ((t: Test, guest: Guest) => Promise<unknown>)[] = [
  async (t, guest) => {
    const { code, out } = await guest.guestctl(['stop'])
    t.equal(code, 0, out)
    await guest.kill()
  },
  async (_, guest) => {
    await guest.pressPowerButton()
    await guest.exited
  },
]

let before: string[] = []
/** Of the machine before. */
let machineId = ''

/** Writes outside of the workspace. */
async function writeElsewhere(client: GuestdClient): Promise<void> {
  await run(client, { command: 'echo gone >/home/agent/gone; sync' })
  machineId = await asRoot(client, 'cat /etc/machine-id; echo gone >/etc/motd; sync')
}

async function checkElsewhere(t: Test, client: GuestdClient): Promise<void> {
  t.equal((await run(client, { command: 'ls /home/agent; cat /etc/motd' })).out.match(/gone/), null)
  t.not(await asRoot(client, 'cat /etc/machine-id'), machineId, 'each boot has an id of its own')
}

t.test('a session works', async t => {
  const guest = await bootGuest(t, {
    volume,
    extraDisks: [{ file: modules, serial: 'modules', mode: 'ro' }],
  })
  t.setTimeout(LONG_MS)
  const client = openClient(t, guest)
  t.match(await mounted(client), { resumed: false })
  await mountDisk(client, 'modules', MODULES)
  const env = { MODULES }
  const filled = await run(client, { command: fixture('fill.sh'), env, timeoutMs: LONG_MS })
  t.match(filled, { exitCode: 0 }, filled.err)
  before = await manifest(t, guest)
  t.ok(before.length > 2_000, `${before.length} files`)
  await writeElsewhere(client)
  await ways[0]?.(t, guest)
})

for (let round = 1; round <= STOPS_AND_RESUMES; round++) {
  t.test(`resume ${round} finds every byte`, async t => {
    const guest = await bootGuest(t, { volume })
    t.setTimeout(LONG_MS)
    const client = openClient(t, guest)
    const { generation, resumed, lastStop } = await mounted(client)
    t.match({ generation, resumed, lastStop }, { resumed: true })
    await checkElsewhere(t, client)
    const after = await manifest(t, guest)
    const hash = (lines: string[]) => createHash('sha256').update(lines.join('\n')).digest('hex')
    if (hash(after) !== hash(before)) {
      const missing = before.filter(line => !after.includes(line))
      const added = after.filter(line => !before.includes(line))
      t.same(
        { missing: missing.slice(0, 20), added: added.slice(0, 20) },
        { missing: [], added: [] },
      )
    }
    t.equal(hash(after), hash(before), `${after.length} files are as they were`)
    const checks = await run(client, { command: CHECKS, timeoutMs: LONG_MS })
    t.match(checks, { exitCode: 0, out: '20\n1000 ok\n' }, checks.err)
    await run(client, {
      command: `echo ${round} >>rounds; git -C repo commit -q --allow-empty -m again`,
    })
    await asRoot(client, 'cd /mnt/workspace && rm -f base.db-shm')
    await writeElsewhere(client)
    // The rest has just been compared.
    const unchanged = after.filter(line => !isChanged(line))
    before = [...unchanged, ...(await manifest(t, guest, CHANGED))].sort()
    await ways[round % ways.length]?.(t, guest)
  })
}

/** The repository, and a copy of the database, whose original stays as it is. */
const CHECKS = `
set -e
git -C repo fsck --full --strict --no-progress >&2
git -C repo rev-list --count main
rm -rf /tmp/copy && mkdir /tmp/copy && cp base.db base.db-wal /tmp/copy/
exec /usr/lib/guestd/node --no-warnings -e '
const { DatabaseSync } = require("node:sqlite")
const db = new DatabaseSync("/tmp/copy/base.db")
const { n } = db.prepare("SELECT count(*) AS n FROM rows").get()
console.log(n, db.prepare("PRAGMA integrity_check").get().integrity_check)'`
