import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { dial } from '../../src/client/dial.ts'
import { parseAddress } from '../../src/client/index.ts'
import { startCuttingProxy } from '../helpers/cutting-proxy.ts'
import { startGuestctl } from '../helpers/guestctl.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { sha256 } from '../helpers/sha256.ts'
import { agentProcesses, asRoot, ended, openClient, run } from './ask.ts'
import { restoreGuest } from './harness.ts'

const MIB = 1024 * 1024
const LARGE_BYTES = 100 * MIB
/** For what moves much where instructions are translated, on a busy host. */
const LONG_MS = 280_000
const DIAL_LIMIT_MS = 10_000

const guest = await restoreGuest(t)
t.comment(`guestd answered after ${(guest.bootMs / 1000).toFixed(1)} s`)
const client = openClient(t, guest)

/** guestctl in the guest, by this address. */
const inGuest = (address: string, user: string) =>
  run(client, {
    command: `guestctl --connect ${address} run -- 'echo served' </dev/null`,
    user,
  })

/** The ioctl IOCTL_VM_SOCKETS_GET_LOCAL_CID of <linux/vm_sockets.h>. */
const GET_CID = [
  "python3 -c 'import fcntl, struct",
  'got = fcntl.ioctl(open("/dev/vsock"), 0x7b9, bytes(4))',
  'print(struct.unpack("I", got)[0])\'',
].join('\n')

t.test('the host is served', async t => {
  t.match(await client.health(), { alive: true, ready: true })
  t.match(await run(client, { command: 'echo served' }), { out: 'served\n', exitCode: 0 })
})

t.test(
  'a process in the guest that connects to its own vsock port is refused, root too',
  async t => {
    const cid = (await asRoot(client, `modprobe vsock_loopback; ${GET_CID}`)).trim()
    t.ok(Number(cid) > 2, `the guest is ${cid}`)
    for (const [address, user] of [
      ['vsock:1:1023', 'agent'],
      ['vsock:1:1023', 'root'],
      [`vsock:${cid}:1023`, 'agent'],
    ] as const) {
      const { out, err, exitCode } = await inGuest(address, user)
      t.match({ out, exitCode }, { out: '', exitCode: 125 }, `${address} as ${user}`)
      t.match(err, /over vsock guestd serves only the host/)
      t.match(err, address)
    }
    const log = await asRoot(client, 'journalctl -u guestd -o cat --no-pager')
    t.match(
      log,
      /"cid":1,"connections":\d+,"msg":"refused vsock connections that are not from the host"/,
    )
  },
)

t.test(
  'only root may take guestd’s port, so no command takes it while guestd restarts',
  async t => {
    const bind = [
      "python3 - <<'END'",
      'import socket',
      'for port in 1023, 1022, 1024:',
      '  s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)',
      '  try: s.bind((socket.VMADDR_CID_ANY, port)); print(port, "bound")',
      '  except OSError as error: print(port, error.strerror)',
      'END',
    ].join('\n')
    const agent = await run(client, { command: bind })
    t.equal(agent.out, '1023 Permission denied\n1022 Permission denied\n1024 bound\n')
    const root = await run(client, { command: bind, user: 'root' })
    t.equal(root.out, '1023 Address already in use\n1022 bound\n1024 bound\n')
  },
)

/** A run over a stream of its own, read until its output begins; to be cut by the test. */
async function openRaw(body: object): Promise<Socket> {
  const socket = await dial(parseAddress(guest.connect), DIAL_LIMIT_MS)
  const text = JSON.stringify(body)
  socket.write(
    'POST /v1/commands HTTP/1.1\r\nhost: guest\r\ncontent-type: application/json\r\n' +
      `content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  )
  let seen = ''
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    seen += chunk
    if (seen.includes('"output"')) return socket
  }
  throw new Error(`no output: ${seen}`)
}

t.test('a connection that the host cuts is noticed', async t => {
  const command = 'echo up; trap "" TERM; sleep 1000 & sleep 1000; sleep 1000'
  const onDisconnect = 'kill'
  const socket = await openRaw({ id: 'cut', command, onDisconnect, limits: { pids: 20 } })
  const kept = await openRaw({ id: 'kept', command })
  t.match(await client.inspect('cut'), { state: 'running' })
  socket.destroy()
  kept.destroy()
  await ended(client, 'cut')
  t.match(await client.inspect('cut'), { cause: 'disconnected', signal: 'SIGKILL', descendants: 0 })
  t.match(await client.inspect('kept'), { state: 'running' }, 'unless the request keeps it')
  await client.kill('kept')
  t.same(await agentProcesses(client), [])
})

t.test('a guestctl that is killed is noticed', async t => {
  const args = ['run', '--id', 'orphan', '--on-disconnect', 'kill', '--', 'echo up; sleep 1000']
  const running = startGuestctl(args, { connect: guest.connect })
  await running.untilOutput('up')
  running.child.kill('SIGKILL')
  await ended(client, 'orphan')
  t.match(await client.inspect('orphan'), { cause: 'disconnected' })
})

t.test('connections cut 50 times give the exact stream of one run', async t => {
  const CUTS = 50
  const path = join(makeScratch(t), 'front')
  let state = 7
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  // The first has to bring guestd's answer: what never answered is not tried for long.
  const limits = (connection: number) =>
    connection < CUTS ? { down: random(1_000_000) + (connection === 0 ? 1_000 : 0) } : {}
  const proxy = await startCuttingProxy({ path, target: guest.socketPath, limits })
  t.teardown(() => proxy.close())
  const front = openClient(t, guest, `firecracker:${path}:1023`)
  const LINES = 4_000_000
  const command = `echo run >> runs; seq ${LINES}; echo over >&2; exit 6`
  const { stdout, err, exitCode, truncated } = await run(front, { command }, 64 * MIB)
  t.match({ err, exitCode, truncated }, { err: 'over\n', exitCode: 6, truncated: 0 })
  const wanted = Array.from({ length: LINES }, (_, index) => `${index + 1}\n`).join('')
  t.equal(stdout.length, wanted.length)
  t.equal(sha256(stdout), sha256(Buffer.from(wanted)))
  t.equal((await run(client, { command: 'cat runs; rm runs' })).out, 'run\n')
  t.equal(proxy.cuts, CUTS)
})

t.test('100 MiB go in and arrive whole', async t => {
  const bytes = randomBytes(LARGE_BYTES)
  const began = performance.now()
  const command = client.run({ command: 'sha256sum', stdin: 'open', timeoutMs: LONG_MS })
  const result = command.collect()
  for (let at = 0; at < bytes.length; at += MIB) {
    await command.stdin.write(bytes.subarray(at, at + MIB))
  }
  await command.stdin.end()
  const { stdout, exitCode } = await result
  t.comment(speed(began))
  t.equal(exitCode, 0)
  t.equal(stdout.toString(), `${sha256(bytes)}  -\n`)
})

t.test('100 MiB come out and arrive whole', async t => {
  const began = performance.now()
  const command = `head -c ${LARGE_BYTES} /dev/urandom | tee >(sha256sum >&2)`
  const hash = createHash('sha256')
  let bytes = 0
  let stderr = ''
  for await (const frame of client.run({ command, timeoutMs: LONG_MS })) {
    if (frame.type === 'gap') t.fail(`a gap from ${frame.from} to ${frame.to}`)
    if (frame.type !== 'output') continue
    if (frame.stream === 'stderr') stderr += Buffer.from(frame.bytes)
    else {
      hash.update(frame.bytes)
      bytes += frame.bytes.length
    }
  }
  t.comment(speed(began))
  t.equal(bytes, LARGE_BYTES)
  t.equal(stderr, `${hash.digest('hex')}  -\n`)
})

const speed = (began: number) =>
  `${(LARGE_BYTES / MIB / ((performance.now() - began) / 1000)).toFixed(1)} MiB/s`

t.test('a listener that systemd made is served too, and to the host alone', async t => {
  const settings = '{ "workspace": "/srv/second", "runDir": "/run/second", "user": "agent" }'
  await asRoot(
    client,
    `cd /run/systemd/system
    mkdir /run/second.d && echo '${settings}' >/run/second.d/config.json
    printf '%s\\n' '[Socket]' ListenStream=vsock::1024 >second.socket
    printf '%s\\n' '[Service]' Type=simple Delegate=yes \\
      'ExecStart=/usr/bin/guestd --config /run/second.d/config.json' \\
      >second.service
    systemctl daemon-reload
    systemctl start second.socket`,
  )
  const state = 'systemctl is-active second.socket second.service || true'
  t.equal(await asRoot(client, state), 'active\ninactive\n', 'no connection has been made yet')
  const second = openClient(t, guest, guest.connect.replace(/\d+$/, '1024'))
  const { out } = await run(second, { command: 'id -un; pwd; cat /proc/self/cgroup' })
  t.match(out, /^agent\n\/srv\/second\n0::.*\/second\.service\/guestd-/)
  t.equal(await asRoot(client, state), 'active\nactive\n')
  const log = await asRoot(client, 'journalctl -u second -o cat --no-pager')
  t.match(log, /"listening":\["fd:3"\]/)
  const { err, exitCode } = await inGuest('vsock:1:1024', 'root')
  t.equal(exitCode, 125)
  t.match(err, /over vsock guestd serves only the host/)
  const first = await run(client, { command: 'pwd; cat /proc/self/cgroup', limits: { pids: 9 } })
  t.match(first.out, /^\/mnt\/workspace\n0::.*\/guestd\.service\//, 'the first goes on')
})
