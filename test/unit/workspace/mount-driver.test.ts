import t from 'tap'
import { GuestdError } from '../../../src/errors.ts'
import { createMountDriver } from '../../../src/workspace/mount-driver.ts'
import { stopParts } from '../../../src/workspace/stop-budget.ts'
import type { WorkspaceHooks } from '../../../src/workspace/types.ts'

t.test('however often a session is assigned, one retry is pending', async t => {
  const pending = new Set<object>()
  t.intercept(globalThis, 'setTimeout', {
    value: () => {
      const timer = { unref: () => timer }
      pending.add(timer)
      return timer
    },
  })
  t.intercept(globalThis, 'clearTimeout', { value: (timer: object) => pending.delete(timer) })
  let attempts = 0
  const driver = createMountDriver({
    path: '/none',
    waits: false,
    owner: null,
    stopParts: stopParts(1_000),
    hooks: { log: { error: () => {} }, emit: () => {} } as unknown as WorkspaceHooks,
    mount: async () => {
      attempts += 1
      throw new GuestdError('workspace_unavailable', 'there is no device')
    },
  })
  await driver.attempt
  t.equal(pending.size, 1)
  for (const id of ['s-1', 's-2', 's-3'])
    await driver.bind({ sessionId: id, runtimeVersion: null }).catch(() => {})
  t.equal(attempts, 4)
  t.equal(pending.size, 1)
})
