import t from 'tap'
import type { Receipt, StopFrame } from '../../../src/protocol/schemas.ts'
import { createStop } from '../../../src/session/stop.ts'

const RECEIPT = { outcome: 'flush', clean: true, errors: [] } as unknown as Receipt

function openStop(before: { reason: 'request'; receipt: Receipt } | null = null) {
  const log: string[] = []
  const stop = createStop({
    workspace: {
      end: async () => {
        log.push('workspace')
        return RECEIPT
      },
    },
    started: reason => log.push(`started: ${reason}`),
    stepped: ({ name, state }) => log.push(`${name} ${state}`),
    ended: () => log.push('ended'),
    before,
  })
  return { stop, log }
}

async function framesOf(frames: AsyncIterable<StopFrame>): Promise<string[]> {
  const found: string[] = []
  for await (const frame of frames) {
    found.push(frame.type === 'step' ? `${frame.name} ${frame.state}` : frame.type)
  }
  return found
}

t.test('every part ends before the workspace, and there is one stop for all who ask', async t => {
  const { stop, log } = openStop()
  const gate = Promise.withResolvers<void>()
  stop.addStep('commands', () => gate.promise)
  t.equal(stop.state, 'ready')
  const first = stop.run('idle')
  const early = framesOf(stop.follow())
  t.same([stop.state, stop.reason, stop.receipt], ['stopping', 'idle', null])
  t.equal(stop.run('signal'), first)
  gate.resolve()
  const receipt = await first
  t.same(receipt, { ...RECEIPT, reason: 'idle' })
  t.same(
    [stop.state, stop.reason, stop.receipt],
    ['stopped', 'idle', { ...RECEIPT, reason: 'idle' }],
  )
  t.same(log, ['started: idle', 'commands started', 'commands done', 'workspace', 'ended'])
  const frames = ['commands started', 'commands done', 'receipt']
  t.same(await early, frames)
  t.same(await framesOf(stop.follow()), frames, 'a late follower gets all of it')
  await stop.followed()
})

t.test('a part that fails does not keep the workspace from its end', async t => {
  const { stop, log } = openStop()
  stop.addStep('commands', () => Promise.reject(new Error('failed')))
  await stop.run('request')
  t.same(log, ['started: request', 'commands started', 'commands failed', 'workspace', 'ended'])
})

t.test('a stop before this start of guestd is that stop', async t => {
  const { stop, log } = openStop({ reason: 'request', receipt: RECEIPT })
  t.same([stop.state, stop.reason, stop.receipt], ['stopped', 'request', RECEIPT])
  t.equal(await stop.run('signal'), RECEIPT)
  t.same(await framesOf(stop.follow()), ['receipt'])
  t.same(log, [])
})
