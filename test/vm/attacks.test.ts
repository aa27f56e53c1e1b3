/** What `agent` tries from inside, and what the image and guestd have against it. */

import t from 'tap'
import type { Receipt } from '../../src/client/index.ts'
import { until } from '../helpers/guestd.ts'
import { asRoot, mounted, openClient, run } from './ask.ts'
import { restoreGuest } from './harness.ts'
import { makeToolsDisk, mountTools, TOOLS } from './tools.ts'

const PARKED_MIB = 8
/** Messages to the service manager. */
const FLOOD = 3_000
/** Within less than 30 s there are at most two periods of the limit, with twice its 500 lines at most. */
const WINDOW_S = 29
const MAX_KEPT = 2_000
/** All of them read at once, on a busy host later. */
const SETTLE_LIMIT_MS = 200_000
/** A message bus gives up a message that is not complete, but after 150 s only. */
const SLOW = '/run/dbus/*'

const guest = await restoreGuest(t, { extraDisks: [await makeToolsDisk(t)] })
const client = openClient(t, guest)
await mounted(client)
await mountTools(client)

t.test('a setuid file in the workspace does not make agent root', async t => {
  await asRoot(client, `cd /mnt/workspace && cp ${TOOLS}/uid uid && chmod 4755 uid`)
  t.equal((await run(client, { command: './uid; stat -c "%U %a" uid' })).out, '1000\nroot 4755\n')
  await asRoot(client, `cp ${TOOLS}/uid /usr/local/bin/uid && chmod 4755 /usr/local/bin/uid`)
  t.equal((await run(client, { command: 'uid' })).out, '0\n', 'elsewhere such a file counts')
  await asRoot(client, 'rm /usr/local/bin/uid /mnt/workspace/uid')
})

t.test('a command as root runs no code of agent by where it starts', async t => {
  await run(client, { command: `echo 'print("the code of agent")' >planted.py` })
  // Where the folder has no module of this name, there is none.
  const command = 'pwd; python3 -c "import planted"'
  const asked = await run(client, { command, user: 'root' })
  t.equal(asked.out, '/root\n')
  t.match(asked.err, /ModuleNotFoundError/)
  t.equal((await guest.runAsRoot('pwd')).out, '/root\n')
  t.equal((await run(client, { command })).out, '/mnt/workspace\nthe code of agent\n')
  const named = await run(client, { command, user: 'root', cwd: '.' })
  t.equal(named.out, '/mnt/workspace\nthe code of agent\n', 'unless the request names the folder')
})

t.test('a descriptor that agent sends to a service keeps no space taken', async t => {
  const usedBytes = async () => (await client.session()).workspace.usage?.usedBytes ?? 0
  const before = await usedBytes()
  const { out } = await run(client, {
    command: `head -c ${PARKED_MIB}M /dev/zero >parked
      ${TOOLS}/park parked $(find /run /dev -type s ! -path '${SLOW}' 2>/dev/null); rm parked; sync -f .`,
  })
  const answers = out.trimEnd().split('\n')
  t.ok(answers.includes('/run/acpid.socket connect EACCES'), out)
  t.ok(answers.includes('/run/systemd/journal/stdout sent'), out)
  t.same(
    answers.filter(line => !/ (sent|connect EACCES|(connect|send) EAGAIN)$/.test(line)),
    [],
  )
  await until(async () => (await usedBytes()) <= before, SETTLE_LIMIT_MS)
})

t.test(
  'no socket, device, algorithm or file system that agent asks for loads a module',
  async t => {
    const loaded = async () =>
      (await asRoot(client, "cut -d' ' -f1 /proc/modules | sort")).split('\n')
    const before = await loaded()
    t.match(await run(client, { command: `${TOOLS}/modules` }), { exitCode: 0 })
    t.same(await loaded(), before)
    await asRoot(client, 'modprobe loop')
    t.same(new Set(await loaded()), new Set([...before, 'loop']), 'root names what it needs')
  },
)

t.test('lines of agent in the journal do not pass for guestd’s', async t => {
  const forged = 'for name in node guestd; do systemd-cat -t $name echo "forged for $name"; done'
  await run(client, { command: forged })
  const all = async (filter: string) =>
    await asRoot(client, `journalctl -o cat --no-pager ${filter}`)
  await until(async () => (await all('-t guestd')).includes('forged for guestd'), SETTLE_LIMIT_MS)
  t.notMatch(await all('-t guestd _UID=0'), /forged/)
  t.match(await all('-t guestd _UID=0'), /"msg":"serving"/)
  t.equal(await all('-t node _UID=0'), '')
  const own = '_SYSTEMD_CGROUP=/guestd.service/supervisor'
  t.match(await all(own), /"msg":"serving"/)
  t.notMatch(await all(`${own} --output-fields=_COMM,MESSAGE`), /forged/)
})

/** When the service manager wrote lines with this text, in seconds. */
async function timesOf(text: string): Promise<number[]> {
  const script = `journalctl -o short-unix --no-pager _PID=1 | grep '${text}' | cut -d' ' -f1`
  return (await asRoot(client, script)).split('\n').filter(Boolean).map(Number)
}

t.test('a flood of other lines is limited, and takes none of guestd’s own', async t => {
  await run(client, { id: 'marked', command: 'true' })
  const flood = await run(client, { command: `${TOOLS}/notify ${FLOOD}` })
  t.equal(flood.out, `${FLOOD}\n`)
  const times = await timesOf('reception only permitted')
  const last = Math.max(...times)
  const kept = times.filter(time => last - time < WINDOW_S).length
  t.ok(kept > 0 && kept <= MAX_KEPT, `${kept} of ${FLOOD} in the last ${WINDOW_S} s`)
  const line = '"command":"marked"'
  t.match(await asRoot(client, 'cat /run/guestd/log.ndjson'), line)
  t.match(await guest.console(), line)
  t.not((await run(client, { command: 'cat /run/guestd/log.ndjson' })).exitCode, 0)
})

t.test('the stop does not take systemd-udevd’s copy of the mount for its holder', async t => {
  // Root may send it there.
  await asRoot(client, `cd /mnt/workspace; echo x >parked; ${TOOLS}/park parked /run/acpid.socket`)
  const receipts: Receipt[] = []
  for await (const frame of client.stop()) if (frame.type === 'receipt') receipts.push(frame)
  const [receipt] = receipts
  t.same([receipt?.clean, receipt?.outcome, receipt?.errors], [true, 'shutdown', []])
  // That acpid is named, a guest on a busy host may have no time to find out; the tests of storage ask for it.
  t.type(receipt?.heldBy, 'string')
  t.notMatch(receipt?.heldBy, /udevd|mount namespace/)
  t.comment(`held by ${receipt?.heldBy}`)
})
