import t from 'tap'
import { createIdleTrim } from '../../../src/daemon/idle-trim.ts'
import { until } from '../../helpers/guestd.ts'

type Test = { teardown(undo: () => void): void }

function idleTrimFor(t: Test, isBusy: () => boolean) {
  const calls: string[] = []
  const idleTrim = createIdleTrim({
    release: () => void calls.push('release'),
    resume: () => void calls.push('resume'),
    isBusy,
    quietMs: 1,
  })
  t.teardown(() => idleTrim.stop())
  return { calls, idleTrim }
}

t.test('after a time without work memory is released, and work resumes', async t => {
  const { calls, idleTrim } = idleTrimFor(t, () => false)
  idleTrim.touch()
  await until(() => calls.includes('release'))
  idleTrim.touch()
  t.same(calls, ['resume', 'release', 'resume'])
  await until(() => calls.length === 4)
  t.same(calls, ['resume', 'release', 'resume', 'release'])
})

t.test('while a command runs the limit is set again at once', async t => {
  const { calls, idleTrim } = idleTrimFor(t, () => true)
  idleTrim.touch()
  await until(() => calls.length === 3)
  t.same(calls, ['resume', 'release', 'resume'])
})
