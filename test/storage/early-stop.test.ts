import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { until } from '../helpers/guestd.ts'
import { openNotifySocket } from '../helpers/notify-socket.ts'
import { ownCgroups } from '../helpers/own-cgroups.ts'
import { spawnGuestd } from '../helpers/raw-guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { fsck, makeImage, run } from '../helpers/volume.ts'

const E2FSCK = '/usr/sbin/e2fsck'
/** It says that it began, takes its time, and then checks. A signal leaves a file with its name. */
const SLOW = (dir: string, seconds: number) => `#!/bin/sh
for name in TERM INT HUP; do trap ": >${dir}/$name; exit 32" $name; done
: >${dir}/began
sleep ${seconds} >/dev/null 2>&1 & wait $!
exec ${dir}/real "$@"
`

t.test('a stop at any moment of the start leaves no mount, loop device or cgroup', async t => {
  for (let moment = 0; moment <= 900; moment += 75) {
    const image = makeImage(t)
    const place = openPlace(t, image, null)
    const guestd = spawnGuestd(t, place.options)
    await sleep(moment)
    guestd.child.kill('SIGTERM')
    const { code, signal } = await guestd.ended
    t.ok(code === 0 || signal === 'SIGTERM', `${moment} ms: ${code} ${signal} ${guestd.output()}`)
    place.checkClean(t, guestd.dir, `${moment} ms`)
    t.equal(fsck(image).status, 0, `${moment} ms: the volume is clean`)
  }
})

t.test('a stop cancels a check in order, and the next start checks again', async t => {
  const image = makeImage(t)
  run('debugfs', '-w', '-R', 'set_super_value state 0', image)
  const place = openPlace(t, image, 30)
  const manager = await openNotifySocket(t, join(place.dir, 'notify'))
  const env = { NOTIFY_SOCKET: join(place.dir, 'notify') }
  const guestd = spawnGuestd(t, { ...place.options, env })
  await until(() => existsSync(join(place.dir, 'began')))
  guestd.child.kill('SIGTERM')
  t.same(await guestd.ended, { code: 0, signal: null })
  t.equal(existsSync(join(place.dir, 'TERM')), true, 'e2fsck had a SIGTERM')
  place.checkClean(t, guestd.dir, 'cancelled')
  await manager.heard(({ values }) => values.STOPPING === '1')
  t.same(
    manager.notices.filter(({ values }) => values.READY !== undefined),
    [],
    'it was never ready',
  )
  t.notMatch(guestd.output(), /"msg":"serving"/)

  const second = openPlace(t, image, 0)
  const next = spawnGuestd(t, second.options)
  await until(() => next.output().includes('the workspace is mounted'))
  next.child.kill('SIGTERM')
  t.same(await next.ended, { code: 0, signal: null })
  second.checkClean(t, next.dir, 'after the check')
  t.equal(fsck(image).status, 0)
})

t.test('Ctrl-C does not reach a check: guestd asks it to end', async t => {
  const image = makeImage(t)
  run('debugfs', '-w', '-R', 'set_super_value state 0', image)
  const place = openPlace(t, image, 30)
  const guestd = spawnGuestd(t, { ...place.options, ownGroup: true })
  await until(() => existsSync(join(place.dir, 'began')))
  process.kill(-guestd.pid, 'SIGINT')
  t.same(await guestd.ended, { code: 0, signal: null })
  t.equal(existsSync(join(place.dir, 'INT')), false)
  t.equal(existsSync(join(place.dir, 'TERM')), true)
  place.checkClean(t, guestd.dir, 'after Ctrl-C')
})

t.test('a listener that fails leaves no mount, loop device, socket or cgroup', async t => {
  const image = makeImage(t)
  const place = openPlace(t, image, null)
  const listen = [`unix:${place.dir}/one.sock`, 'unix:/nowhere/at/all.sock']
  const guestd = spawnGuestd(t, {
    ...place.options,
    config: { ...place.options.config, listen },
  })
  t.same(await guestd.ended, { code: 1, signal: null })
  t.match(
    guestd.output(),
    /^guestd: cannot listen on unix:\/nowhere\/at\/all\.sock: listen E[A-Z]+: [^\n]+$/m,
  )
  t.notMatch(guestd.output(), /^ +at /m)
  place.checkClean(t, guestd.dir, 'after the failure')
  t.equal(existsSync(join(place.dir, 'one.sock')), false)
  t.equal(fsck(image).status, 0)
})

/**
 * A mount namespace that outlives guestd, so that a mount it leaves can be seen.
 *
 * @param slow has e2fsck take so many seconds there; `null`: it is the real one
 */
function openPlace(t: Test, image: string, slow: number | null) {
  const dir = makeScratch(t)
  chmodSync(dir, 0o755)
  const at = join(dir, 'mnt')
  const holder = spawn('unshare', ['--mount', 'sh', '-c', 'echo here; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => {
    holder.kill('SIGKILL')
    spawnSync('sh', ['-c', `losetup -j ${image} -O NAME -n | xargs -r losetup -d`])
  })
  const inside = ['nsenter', `--mount=/proc/${holder.pid}/ns/mnt`]
  execFileSync('sh', [
    '-c',
    `while [ /proc/self/ns/mnt -ef /proc/${holder.pid}/ns/mnt ]; do sleep 0.01; done`,
  ])
  if (slow !== null) {
    copyFileSync(E2FSCK, join(dir, 'real'))
    writeFileSync(join(dir, 'slow'), SLOW(dir, slow))
    for (const name of ['real', 'slow']) chmodSync(join(dir, name), 0o755)
    run(...(inside as ['nsenter', string]), 'mount', '--bind', join(dir, 'slow'), E2FSCK)
  }
  return {
    dir,
    options: { wrap: inside, config: { workspace: image, workspaceMount: at } },
    checkClean(t: Test, of: string, when: string) {
      const mounts = readFileSync(`/proc/${holder.pid}/mountinfo`, 'utf8')
      t.notMatch(mounts, new RegExp(` ${at} `), `${when}: no mount`)
      t.equal(run('losetup', '-j', image), '', `${when}: no loop device`)
      t.equal(ownCgroups(of), '', `${when}: no cgroup`)
    },
  }
}
