import t from 'tap'
import type { SessionInfo } from '../../src/client/index.ts'
import { until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { asRoot, guestdPid, openClient, run, seen } from './ask.ts'
import { bootGuest } from './harness.ts'

/** Starts of Node take seconds where instructions are translated. */
const SETTLE_LIMIT_MS = 240_000
const WATCHDOG_S = 15
/** More than systemd's own limit of starts, 5 in 10 s. */
const CRASHES = 8

const guest = await bootGuest(t, {
  // Soon full.
  kernelArgs: ['guestd.overlay=128m'],
  overlay: {
    '/etc/systemd/system/guestd.service.d/watchdog.conf': `[Service]\nWatchdogSec=${WATCHDOG_S}s\n`,
  },
})
t.comment(`guestd answered after ${(guest.bootMs / 1000).toFixed(1)} s`)
const client = openClient(t, guest)

const show = async (unit: string, property: string) =>
  (await asRoot(client, `systemctl show -P ${property} ${unit}`)).trim()

/** Waits until guestd answers and the condition holds. */
async function untilSession(condition: (session: SessionInfo) => boolean): Promise<void> {
  const holds = async () => {
    const session = await client.session().catch(() => null)
    return session !== null && condition(session)
  }
  await until(holds, SETTLE_LIMIT_MS)
}

/** As root and detached, so that its request is answered whatever it does to guestd. */
async function beside(script: string): Promise<void> {
  const unit = ['systemd-run', '--quiet', '--collect', 'bash', '-c', script]
  await run(client, { argv: unit, user: 'root' })
}

t.test('systemd finds nothing to complain of in the units', async t => {
  const units = '/usr/lib/systemd/system/guestd.socket /usr/lib/systemd/system/guestd.service'
  t.equal(await asRoot(client, `systemd-analyze verify ${units} 2>&1`), '')
  t.equal(await asRoot(client, 'systemctl --failed --no-legend --plain'), '')
})

t.test('systemd knows that guestd is ready, and how it is', async t => {
  await until(async () => (await show('guestd', 'ActiveState')) === 'active', SETTLE_LIMIT_MS)
  t.equal(await show('guestd', 'SubState'), 'running')
  const isShown = async () => /^Ready; serving fd:3; /.test(await show('guestd', 'StatusText'))
  await until(isShown, SETTLE_LIMIT_MS)
  t.equal(await show('guestd.socket', 'Listen'), 'vsock::1023 (Stream)')
  t.equal(await show('guestd', 'WatchdogUSec'), `${WATCHDOG_S}s`)
  t.equal(await show('guestd', 'NRestarts'), '0')
})

t.test('guestd goes last when memory is short, and sees the mounts of the machine', async t => {
  const pid = await guestdPid(client)
  t.equal(await asRoot(client, `cat /proc/${pid}/oom_score_adj`), '-900\n')
  const [own, first] = (await asRoot(client, `readlink /proc/${pid}/ns/mnt /proc/1/ns/mnt`)).split(
    '\n',
  )
  t.equal(own, first)
  t.match(await asRoot(client, 'lsmod'), /^vsock .*vmw_vsock_virtio_transport/m)
  t.match(await asRoot(client, 'journalctl -u systemd-journald'), /Runtime Journal.*max 16\.0M/)
})

t.test('a full root file system is reported, and guestd stays alive', async t => {
  await asRoot(client, 'dd if=/dev/zero of=/fill bs=64k 2>/dev/null || true')
  matchExactly(t, await client.health(), {
    ready: false,
    reasons: [{ code: 'disk_full', message: /^root file system: \/ is full/ }],
  })
  t.match(await client.session(), { state: 'not_ready' })
  await asRoot(client, 'rm /fill')
  t.same(await client.health(), { alive: true, ready: true, reasons: [] })
})

t.test(
  'a guestd that hangs is ended and started again, and who asked meanwhile is answered',
  async t => {
    const { startedAt } = await client.session()
    const hung = await guestdPid(client)
    await beside(`sleep 2; kill -STOP ${hung}; echo stopped >/run/hung`)
    const patient = openClient(t, guest)
    await until(async () => (await patient.session()).startedAt !== startedAt, SETTLE_LIMIT_MS)
    t.not(await guestdPid(client), hung)
    t.equal(await show('guestd', 'NRestarts'), '1')
    t.match(await asRoot(client, 'journalctl -u guestd'), /Watchdog timeout/)
  },
)

t.test('however often guestd crashes, its socket stays and it is started again', async t => {
  const crash = `for i in {1..${CRASHES}}; do
    until pid=$(systemctl show -P MainPID guestd); [ "$pid" != 0 ]; do sleep 0.05; done
    kill -KILL "$pid"
    while [ "$(systemctl show -P MainPID guestd)" = "$pid" ]; do sleep 0.05; done
  done; touch /run/crashed`
  await beside(crash)
  const done = () =>
    run(client, { command: 'test -e /run/crashed' }).then(
      ({ exitCode }) => exitCode === 0,
      () => false,
    )
  await until(done, SETTLE_LIMIT_MS)
  t.equal(await show('guestd.socket', 'ActiveState'), 'active')
  t.equal(Number(await show('guestd', 'NRestarts')), CRASHES + 1)
})

t.test('bad settings are reported to the host until they are corrected', async t => {
  await beside(`cd /etc/guestd; cp config.json good; echo '{"killGraceMs":"soon"}' >config.json
    systemctl restart guestd
    until journalctl -u guestd | grep -q '"method":"POST",.*"code":"misconfigured"'; do sleep 0.2; done
    mv good config.json; systemctl restart guestd`)
  await untilSession(({ state }) => state === 'misconfigured')
  matchExactly(t, await client.health(), {
    ready: false,
    reasons: [{ code: 'misconfigured', message: /^configuration: killGraceMs: "soon"/ }],
  })
  const { code, err } = await guest.run('true')
  t.equal(code, 125)
  t.match(err, /killGraceMs.*\(misconfigured\)/)
  await untilSession(({ state }) => state === 'ready')
  t.equal((await run(client, { command: 'echo corrected' })).out, 'corrected\n')
})

t.test('what is ordered after guestd stops before it, and guestd before the machine', async t => {
  const stop = 'sleep 1; echo the other is down >/dev/console'
  const properties = ['-p', 'After=guestd.service', '-p', `ExecStop=/bin/bash -c "${stop}"`]
  const argv = ['systemd-run', '--quiet', ...properties, 'sleep', '1000']
  t.equal((await run(client, { argv, user: 'root' })).exitCode, 0)
  t.match(await show('guestd', 'After'), /(^| )mnt-workspace\.mount( |$)/)
  t.equal(await show('mnt-workspace.mount', 'ActiveState'), 'active')
  await client.start({ id: 'watching', command: 'echo up; sleep 1000' })
  await seen(client, 'watching', 'up')
  await guest.pressPowerButton()
  await guest.exited
  const output = await guest.console()
  const end = output.slice(output.lastIndexOf('"msg":"serving"'))
  t.match(
    end,
    /the other is down[\s\S]*"msg":"stopping"[\s\S]*"command":"watching"[\s\S]*"msg":"stopped"[\s\S]*Power down/,
  )
  t.match(end, /"clean":true.*"msg":"the session is stopped"/)
})
