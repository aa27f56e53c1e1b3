import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createClient } from '../../src/client/index.ts'
import { type CuttingProxyOptions, startCuttingProxy } from '../helpers/cutting-proxy.ts'
import { type FakeGuestOptions, startFakeGuest } from '../helpers/fake-guest.ts'
import { makeScratch } from '../helpers/scratch.ts'

async function withGuest(
  t: Test,
  options: Omit<FakeGuestOptions, 'listen'> = {},
  limits: CuttingProxyOptions['limits'] = () => ({}),
) {
  const scratch = makeScratch(t)
  const target = join(scratch, 'guest')
  const guest = await startFakeGuest({ listen: { path: target }, ...options })
  t.teardown(() => guest.close())
  const proxy = await startCuttingProxy({ path: join(scratch, 'front'), target, limits })
  t.teardown(() => proxy.close())
  const client = createClient({ connect: `unix:${proxy.path}` })
  t.teardown(() => client.close())
  const written = (id: string) => guest.commands.get(id)
  return { guest, proxy, client, written }
}

t.test('what is written arrives in order, whole, and ended', async t => {
  const { client, written } = await withGuest(t)
  const command = client.run({ command: 'cat', stdin: 'open' })
  const chunks = [randomBytes(1), randomBytes(700_000), randomBytes(0), randomBytes(300)]
  // Not awaited one by one: the order of the calls is the order of the bytes.
  await Promise.all([...chunks.map(chunk => command.stdin.write(chunk)), command.stdin.write('é')])
  await command.stdin.end()
  const all = Buffer.concat([...chunks, Buffer.from('é')])
  t.ok(written(command.id)?.stdin.equals(all))
  t.equal(written(command.id)?.stdinEnded, true)
  t.equal(command.stdin.acceptedBytes, all.length)
  await command.stdin.end()
  await t.rejects(command.stdin.write('more'), { message: /has been ended/ })
})

t.test('a command that was not given an input refuses what is written, at once', async t => {
  const { client, guest } = await withGuest(t)
  const { stdin, accepted } = client.run({ command: 'true' })
  await t.rejects(stdin.write('x'), { name: 'GuestdError', code: 'stdin_closed' })
  await t.rejects(stdin.end(), { code: 'stdin_closed' })
  await accepted
  t.notOk(guest.requests.some(line => line.includes('/stdin')))
})

t.test('an end without a byte is an end', async t => {
  const { client, written } = await withGuest(t)
  const command = client.run({ command: 'cat', stdin: 'open' })
  await command.stdin.end()
  t.equal(written(command.id)?.stdinEnded, true)
})

t.test('lost connections lose and repeat no byte', async t => {
  let seed = 3
  const { client, proxy, written } = await withGuest(t, {}, connection => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    if (connection === 0 || connection > 40) return {}
    return connection % 3 === 0 ? { down: 20 } : { up: seed % 600_000 }
  })
  const command = client.run({ command: 'cat', stdin: 'open' })
  await command.accepted
  // Its frames stay unread, so that no request goes over their connection.
  const stdin = client.stdin(command.id)
  const all = randomBytes(5_000_000)
  for (let at = 0; at < all.length; at += 100_000) {
    await stdin.write(all.subarray(at, at + 100_000))
  }
  await stdin.end()
  t.ok(written(command.id)?.stdin.equals(all))
  t.ok(proxy.cuts >= 10, `${proxy.cuts} cuts`)
})

t.test('a writer waits while the command does not read', async t => {
  const { client } = await withGuest(t, {
    intercept: (request, response) => {
      if (!request.url?.includes('/stdin')) return false
      request.pause()
      response.flushHeaders()
      return true
    },
  })
  const controller = new AbortController()
  const options = { signal: controller.signal }
  const command = client.run({ command: 'sleep 9', stdin: 'open' }, options)
  let taken = 0
  const writing = (async () => {
    for (;;) {
      await command.stdin.write(Buffer.alloc(64 * 1024))
      taken += 64 * 1024
    }
  })()
  writing.catch(() => {})
  await sleep(300)
  const stalled = taken
  t.ok(stalled <= 512 * 1024, `${stalled} bytes taken`)
  await sleep(200)
  t.equal(taken, stalled)
  controller.abort(new Error('enough'))
  await t.rejects(writing, { message: 'enough' })
})

t.test('a write to a command that no longer reads fails', async t => {
  const { client } = await withGuest(t, {
    intercept: (request, response) => {
      if (!request.url?.includes('/stdin')) return false
      response.writeHead(409, { 'content-type': 'application/problem+json' })
      response.end(JSON.stringify({ code: 'stdin_closed', detail: 'gone', status: 409 }))
      return true
    },
  })
  const command = client.run({ command: 'true', stdin: 'open' })
  await command.stdin.write('x')
  await t.rejects(command.stdin.end(), { name: 'GuestdError', code: 'stdin_closed' })
  await t.rejects(command.stdin.end(), { code: 'stdin_closed' })
})

t.test('a writer of its own begins after what the command has already', async t => {
  const { client, written } = await withGuest(t)
  const command = client.run({ command: 'cat', stdin: 'open' })
  await command.stdin.write('one ')
  while (command.stdin.acceptedBytes < 4) await sleep(5)
  const later = client.stdin(command.id)
  await later.write('two')
  await later.end()
  t.equal(written(command.id)?.stdin.toString(), 'one two')
})
