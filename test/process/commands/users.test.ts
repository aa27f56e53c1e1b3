import { execFileSync } from 'node:child_process'
import t from 'tap'
import { run } from '../../helpers/guestd.ts'
import { startForOther } from './support.ts'

const guestd = await startForOther(t)
const command = 'echo "$(id -u) $(id -g) $(id -G) $HOME $USER"; echo x > /dev/stderr'

t.test('a uid that no entry has is accepted, alone and with a group', async t => {
  for (const [user, text] of [
    ['48151', '48151 48151 48151 / 48151'],
    [48_151, '48151 48151 48151 / 48151'],
    ['0048151', '48151 48151 48151 / 48151'],
    ['48151:1623', '48151 1623 1623 / 48151'],
    ['4294967294:4294967294', '4294967294 4294967294 4294967294 / 4294967294'],
    ['48151:0', '48151 0 0 / 48151'],
  ] as const) {
    const { exit, stdout, stderr, frames } = await run(guestd, { command, user })
    t.equal(exit.exitCode, 0, stderr)
    t.equal(stdout, `${text}\n`, String(user))
    t.equal(stderr, 'x\n', 'its pipes are its own')
    t.equal(frames[0]?.user, text.split(' ')[4])
  }
})

t.test('a uid that has an entry is that user, and with a group has that one alone', async t => {
  const entry = execFileSync('getent', ['passwd', 'daemon'], { encoding: 'utf8' }).split(':')
  const [name, , uid, gid, , home] = entry
  const groups = execFileSync('id', ['-G', 'daemon'], { encoding: 'utf8' }).trim()
  const alone = await run(guestd, { command, user: uid })
  t.equal(alone.stdout, `${uid} ${gid} ${groups} ${home} ${name}\n`)
  const grouped = await run(guestd, { command, user: `${uid}:1623` })
  t.equal(grouped.stdout, `${uid} 1623 1623 ${home} ${name}\n`)
})

t.test('folders of a home that no PATH can have are not on it', async t => {
  const path = 'echo "$PATH"'
  const { stdout } = await run(guestd, { command: path, user: '48151' })
  t.equal(stdout, '/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games\n')
})

t.test('an id that does not fit is refused, and never becomes another user', async t => {
  for (const user of [
    ...[
      '4294967296',
      '4294967295',
      '18446744073709551616',
      '99999999999',
      '-1',
      '+1',
      '1.5',
      '0x1',
    ],
    ...['48151:4294967296', '48151:-1', '48151:', ':1', '48151:x', '1:2:3', ' 1', '1 '],
  ]) {
    const reply = await guestd.request('POST', '/v1/commands', { body: { command: 'id', user } })
    t.equal(reply.status, 422, user)
    t.match(reply.json(), { code: 'user_unknown', field: 'user' }, user)
  }
  for (const user of [4_294_967_296, 4_294_967_295, -1, 1.5]) {
    const reply = await guestd.request('POST', '/v1/commands', { body: { command: 'id', user } })
    t.match(reply.json(), { status: 400, code: 'invalid_request' }, String(user))
  }
})

t.test('a limit of open files that cannot be raised is refused before the launch', async t => {
  const largest = Number(execFileSync('cat', ['/proc/sys/fs/nr_open'], { encoding: 'utf8' }))
  const hard = Number(
    execFileSync('prlimit', ['--pid', `${guestd.pid}`, '-n', '-o', 'HARD', '--noheadings']),
  )
  const able = await run(guestd, { command: 'ulimit -Hn', limits: { nofile: 1_000 } })
  t.equal(able.stdout, '1000\n')
  const unable = await startForOther(t, {
    wrap: ['setpriv', '--bounding-set=-sys_resource', 'prlimit', '--nofile=2000:2000', '--'],
  })
  for (const nofile of [2_001, 1_048_576]) {
    const body = { command: 'true', limits: { nofile } }
    const reply = await unable.request('POST', '/v1/commands', { body })
    t.equal(reply.status, 422)
    t.match(reply.json(), { code: 'limit_unavailable', field: 'limits.nofile' })
  }
  t.equal(
    (await run(unable, { command: 'ulimit -Hn', limits: { nofile: 2_000 } })).stdout,
    '2000\n',
  )
  t.ok(largest >= hard)
  const raised = await run(guestd, { command: 'ulimit -Hn', limits: { nofile: hard } })
  t.equal(raised.stdout, `${Math.min(hard, largest)}\n`)
})

t.test('a configured limit that cannot be given is kept as far as it can be', async t => {
  const guestd = await startForOther(t, {
    wrap: ['setpriv', '--bounding-set=-sys_resource', 'prlimit', '--nofile=2000:2000', '--'],
    config: { limits: { nofile: 5_000 } },
  })
  t.match(guestd.log(), /limits.nofile.*limits that cannot be enforced here/)
  t.equal((await run(guestd, { command: 'ulimit -Hn' })).stdout, '2000\n')
})
