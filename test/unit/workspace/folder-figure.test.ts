import t from 'tap'
import { createFolderFigure } from '../../../src/workspace/folder-figure.ts'
import { pauseAfter } from '../../../src/workspace/walk-schedule.ts'

const CAP_BYTES = 1_000

const walked = (bytes: number, unread = 0) => ({ bytes, inodes: 3, unread, cpuMs: 1 })

t.test('the figure of a folder is that of its last walk', async t => {
  const figure = createFolderFigure(CAP_BYTES)
  t.equal(figure.usage, null)
  const { at, ...usage } = figure.take(walked(400))
  t.ok(Date.parse(at) > 0)
  t.same(usage, {
    ...{ usedBytes: 400, availableBytes: 600, capBytes: CAP_BYTES },
    ...{ usedInodes: 3, availableInodes: null, full: null },
  })
  t.equal(figure.take(walked(1_000)).full, 'bytes', 'at the cap it is full')
  t.equal(figure.take(walked(1_200)).availableBytes, 0)
})

t.test('what becomes unreadable while the folder is full makes no room', async t => {
  const figure = createFolderFigure(CAP_BYTES)
  figure.take(walked(1_200, 1))
  t.equal(figure.isHidden, false)
  t.equal(figure.take(walked(100, 2)).full, 'bytes', 'more is hidden than before')
  t.equal(figure.isHidden, true)
  t.equal(figure.take(walked(100, 1)).full, null, 'it can be read again')
  t.equal(figure.isHidden, false)
  t.equal(createFolderFigure(CAP_BYTES).take(walked(100, 9)).full, null, 'it was never full')
})

t.test('what was seen full since a time is known', async t => {
  let now = 10
  const figure = createFolderFigure(CAP_BYTES, () => now)
  t.equal(figure.fullSince(0), null)
  figure.take(walked(1_200))
  now = 20
  figure.take(walked(100))
  t.equal(figure.fullSince(10), 'bytes')
  t.equal(figure.fullSince(11), null)
  figure.take(walked(1_200))
  now = 30
  t.equal(figure.fullSince(25), 'bytes', 'it still is')
})

t.test('the pause after a walk follows its cost', async t => {
  t.equal(pauseAfter(1, 2), 250)
  t.equal(pauseAfter(1_000, 1_100), 19_000, 'at most 5 % of a processor')
  t.equal(pauseAfter(10, 1_000), 4_000, 'a slow disk is idle for most of the time')
})
