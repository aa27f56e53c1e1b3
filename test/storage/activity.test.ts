import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createLog } from '../../src/log.ts'
import { keepActivity } from '../../src/workspace/activity-mark.ts'
import { mountVolume } from '../../src/workspace/mount-volume.ts'
import { run as runCommand, startGuestd, until } from '../helpers/guestd.ts'
import { slotsOf } from '../helpers/mark.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { attach, makeImage, makeMountPoint, run } from '../helpers/volume.ts'

const byMachine = (at: string) => ({ at, byHost: false })
const timeOf = (image: string) => Date.parse(slotsOf(image).mark?.lastActivityAt ?? '')

t.test('the mark has the time of the start, and at the stop that of the last command', async t => {
  const workspace = makeImage(t, { mark: true })
  const guestd = await startGuestd(t, { config: { workspace, workspaceMount: makeMountPoint(t) } })
  const started = timeOf(workspace)
  t.ok(started > 0)
  await runCommand(guestd, { id: 'a', command: 'true' })
  const { endedAt } = (await guestd.request('GET', '/v1/commands/a')).json()
  await new Promise(resolve => setTimeout(resolve, 1_500))
  await guestd.stop()
  const { at, receipt } = slotsOf(workspace).mark ?? {}
  t.equal(receipt?.reason, 'signal')
  const last = timeOf(workspace)
  t.ok(last >= Date.parse(String(endedAt)) - 1_000 && last > started, `${last}`)
  t.ok(Date.parse(String(at)) - last >= 1_000, 'that nothing was done after it is not counted')
})

t.test(
  'while it is mounted the mark is kept up to date; a failed write is logged once and retried',
  async t => {
    const image = makeImage(t, { mark: true })
    const path = attach(t, image)
    const settings = {
      source: { kind: 'device', path } as const,
      path: makeMountPoint(t),
      user: null,
      storedFd: null,
      owner: null,
      cancel: new AbortController().signal,
      now: () => byMachine('2026-01-01T00:00:00.000Z'),
      earliest: () => byMachine('2026-01-01T00:00:00.000Z'),
      formatBlank: false,
      requireSession: false,
      retentionMs: 0,
      onExpired: 'keep' as const,
      onVersionChange: 'keep' as const,
    }
    const { history, fd } = await mountVolume(settings)
    closeSync(fd)
    const logFile = join(makeScratch(t), 'log')
    const log = createLog({ level: 'info', fd: openSync(logFile, 'w') })
    const logged = () => readFileSync(logFile, 'utf8').split('\n').length - 1
    let active = '2026-01-01T00:00:00.000Z'
    const keeper = keepActivity(history, { log, lastActivity: () => byMachine(active) }, 20)
    const seen = () => slotsOf(image).mark?.lastActivityAt
    const first = seen()
    active = '2026-01-01T00:00:00.900Z'
    await new Promise(resolve => setTimeout(resolve, 200))
    t.equal(seen(), first, 'less than a second is nothing')
    active = '2026-01-01T01:00:00.000Z'
    await until(() => seen() === active)

    run('blockdev', '--setro', path)
    active = '2026-01-01T02:00:00.000Z'
    await until(() => logged() > 0)
    await new Promise(resolve => setTimeout(resolve, 200))
    run('blockdev', '--setrw', path)
    await until(() => seen() === active)
    t.equal(logged(), 1)
    keeper.stop()

    const early = byMachine('2026-01-01T01:30:00.000Z')
    await history.worked(early)
    t.equal(seen(), active, 'a clock that is set back changes nothing')
    t.equal(history.lastActivity(early).at, active)
    const next = await mountVolume(settings)
    closeSync(next.fd)
    t.equal(next.history.generation, 1, 'the mount of before goes on')
    await next.history.worked(early)
    t.equal(seen(), active, 'nor after a restart of guestd')
    t.equal(next.history.lastActivity(early).at, active)
  },
)
