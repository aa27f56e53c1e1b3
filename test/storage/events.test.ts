import t from 'tap'
import { eventsOf } from '../helpers/events.ts'
import { type Guestd, run as runCommand, startGuestd, until } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'
import { attach, makeImage, makeMountPoint, run } from '../helpers/volume.ts'

/**
 * By its label it is looked for on every device of the machine, and one that hangs, as those of other tests
 * do, is given up after 10 s in each round.
 */
const LIMIT_MS = 120_000

const levelsOf = async (on: Guestd) =>
  (await eventsOf(on)).flatMap(event =>
    event.type === 'workspace_level' ? [[event.percent, event.rising]] : [],
  )

t.test('a workspace that fills up and gets room again passes its levels, each once', async t => {
  const workspace = makeImage(t, { mib: 64, mkfs: ['-m', '0'] })
  const at = makeMountPoint(t)
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
  const fillTo = (percent: number) =>
    runCommand(guestd, {
      command: `have=$(stat -f -c %b .); free=$(stat -f -c %a .)
        head -c $(( (free - have * (100 - ${percent}) / 100) * $(stat -f -c %S .) )) /dev/zero > f${percent}
        sync .`,
    })
  for (const percent of [84, 94, 100]) await fillTo(percent)
  t.same(await levelsOf(guestd), [
    [80, true],
    [90, true],
    [100, true],
  ])
  await runCommand(guestd, { command: 'rm f*; sync .' })
  await until(async () => (await levelsOf(guestd)).at(-1)?.[0] === 0)
  // Files go one by one: levels in between may be seen.
  const falling = (await levelsOf(guestd)).slice(3)
  t.ok(falling.every(([, rising]) => rising === false))
  t.same(
    falling,
    falling.toSorted(([one], [other]) => Number(other) - Number(one)),
  )
  const full = (await eventsOf(guestd)).find(
    event => event.type === 'workspace_level' && event.percent === 100,
  )
  t.match(full, { full: 'bytes', usedBytes: Number, availableBytes: Number, capBytes: Number })
})

t.test('the mount and the recovery are events', async t => {
  const image = makeImage(t, { mark: true })
  const at = makeMountPoint(t)
  const workspace = attach(t, image)
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: at } })
  matchExactly(t, await eventsOf(guestd), [
    { type: 'workspace_mounted', device: workspace, generation: 1 },
    { type: 'ready' },
  ])
  await guestd.kill()
  run('umount', at)
  await guestd.start()
  matchExactly(t, await eventsOf(guestd), [
    { type: 'workspace_mounted', generation: 2 },
    { type: 'workspace_recovered', recovery: [/e2fsck -p/] },
    { type: 'ready', restarted: true },
  ])
  await guestd.request('POST', '/v1/session/stop')
  t.match((await eventsOf(guestd)).at(-1), {
    type: 'stopped',
    reason: 'request',
    outcome: 'unmount',
    clean: true,
    generation: 2,
  })
})

t.test('a missing device is one event, and its arrival another', async t => {
  const image = makeImage(t, { label: 'guestd-ev' })
  const config = { workspace: 'LABEL=guestd-ev', workspaceMount: makeMountPoint(t) }
  const guestd = await startGuestd(t, { config })
  const found = (type: string) => eventsOf(guestd).then(all => all.filter(one => one.type === type))
  await until(async () => (await found('workspace_unavailable')).length > 0, LIMIT_MS)
  const device = attach(t, image)
  await until(async () => (await found('workspace_mounted')).length > 0, LIMIT_MS)
  const reasons = (await found('workspace_unavailable')).map(one => 'reason' in one && one.reason)
  t.match(reasons[0], /no device has an ext4 labelled/)
  // It lists the devices, of which others may come and go meanwhile.
  const isRepeated = (reason: unknown, index: number) => reason === reasons[index + 1]
  t.notOk(reasons.some(isRepeated), 'each is reported once')
  matchExactly(t, await found('workspace_mounted'), [{ device, generation: null }])
})
