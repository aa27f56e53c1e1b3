/** What `agent` tries from inside, and what the image and guestd have against it. */

import t from 'tap'
import { asRoot, openClient, run } from './ask.ts'
import { restoreGuest } from './harness.ts'
import { makeToolsDisk, mountTools, TOOLS } from './tools.ts'

const guest = await restoreGuest(t, { extraDisks: [await makeToolsDisk(t)] })
const client = openClient(t, guest)
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
