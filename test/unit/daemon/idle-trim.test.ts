import t from 'tap'
import { createTidying } from '../../../src/daemon/idle-trim.ts'
import { until } from '../../helpers/guestd.ts'

type Test = { teardown(undo: () => void): void }

function tidyingFor(t: Test, isBusy: () => boolean) {
  const calls: string[] = []
  const tidying = createTidying({
    release: () => void calls.push('release'),
    resume: () => void calls.push('resume'),
    isBusy,
    quietMs: 1,
  })
  t.teardown(() => tidying.stop())
  return { calls, tidying }
}

t.test('after a time without work memory is released, and work resumes', async t => {
  const { calls, tidying } = tidyingFor(t, () => false)
  tidying.worked()
  await until(() => calls.includes('release'))
  tidying.worked()
  t.same(calls, ['resume', 'release', 'resume'])
  await until(() => calls.length === 4)
  t.same(calls, ['resume', 'release', 'resume', 'release'])
})

t.test('while a command runs the limit is set again at once', async t => {
  const { calls, tidying } = tidyingFor(t, () => true)
  tidying.worked()
  await until(() => calls.length === 3)
  t.same(calls, ['resume', 'release', 'resume'])
})
