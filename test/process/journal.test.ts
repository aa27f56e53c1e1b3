import { execFileSync, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import t, { type Test } from 'tap'
import { stateProblems } from '../helpers/events.ts'
import { type Guestd, run, startGuestd, until } from '../helpers/guestd.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { mark } from './commands/support.ts'

const MIB = 1024 * 1024
const fileOf = (guestd: Guestd) => join(guestd.dir, 'run', 'commands.ndjson')
const checked = (json: string) => `${crc32(json).toString(16).padStart(8, '0')} ${json}`

/** Ends two commands, and then guestd. */
async function crashed(t: Test) {
  const guestd = await startGuestd(t)
  for (const id of ['one', 'two']) await run(guestd, { id, command: `exit ${id.length}` })
  await guestd.kill()
  return guestd
}

/** A command that ran is not run again: its file is not written. */
async function isKnown(t: Test, guestd: Guestd, id: string): Promise<boolean> {
  const reply = await guestd.request('GET', `/v1/commands/${id}`)
  t.ok([200, 404].includes(reply.status), reply.text)
  return reply.status === 200
}

t.test('each line has a checksum, below a header with the version', async t => {
  const guestd = await crashed(t)
  const lines = readFileSync(fileOf(guestd), 'utf8').trimEnd().split('\n')
  t.match(lines[0], /^[0-9a-f]{8} \{"op":"journal","version":2,"bootId":"[0-9a-f-]{36}"\}$/)
  for (const line of lines) t.equal(checked(line.slice(9)), line)
  t.equal(statSync(fileOf(guestd)).mode & 0o777, 0o600)
  await guestd.start()
  t.same(await stateProblems(guestd), [])
})

t.test(
  'the end that an older guestd wrote has all fields, with null for those that it lacks',
  async t => {
    const guestd = await crashed(t)
    const lines = readFileSync(fileOf(guestd), 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => line.slice(9).replace(/,"interpreter":null,"oomScope":null/, ''))
    t.notMatch(lines.join(), 'oomScope')
    writeFileSync(
      fileOf(guestd),
      lines
        .slice(1)
        .map(line => `${line}\n`)
        .join(''),
    )
    await guestd.start()
    const { interpreter, oomScope, exitCode } = (
      await guestd.request('GET', '/v1/commands/one')
    ).json()
    t.same({ interpreter, oomScope, exitCode }, { interpreter: null, oomScope: null, exitCode: 3 })
    const frames = (await guestd.request('GET', '/v1/commands/one/output')).text
    t.match(frames, /"type":"exit".*"interpreter":null,"oomScope":null/)
  },
)

t.test('a damaged line is reported, the others count, and its processes are killed', async t => {
  const guestd = await startGuestd(t)
  const { env, living } = mark(t)
  await run(guestd, { id: 'one', command: 'exit 3' })
  const command = 'setsid sleep 1000 & sleep 1000'
  await guestd.request('POST', '/v1/commands', { body: { id: 'live', command, env, detach: true } })
  await run(guestd, { id: 'two', command: 'exit 4' })
  await until(() => living().length >= 2)
  await guestd.kill()
  const text = readFileSync(fileOf(guestd), 'utf8')
  writeFileSync(fileOf(guestd), text.replace('"commandLine":"setsid', '"commandLine":"sEtsid'))
  await guestd.start()
  t.same(living(), [], 'what the damaged line had started is killed')
  t.same((await stateProblems(guestd)).sort(), ['journal_damaged', 'processes_killed'])
  t.equal((await run(guestd, { id: 'one', command: 'exit 3' })).exit.exitCode, 3)
  t.equal((await run(guestd, { id: 'two', command: 'exit 4' })).exit.exitCode, 4)
  t.equal(await isKnown(t, guestd, 'live'), false)
  t.equal((await guestd.request('GET', '/readyz')).status, 200)
  t.ok(existsSync(`${fileOf(guestd)}.damaged`), 'it is kept for people')
  await guestd.kill()
  await guestd.start()
  t.same(await stateProblems(guestd), [], 'the file was written anew')
})

t.test('lines of another shape do not keep guestd from starting', async t => {
  const guestd = await crashed(t)
  const odd = [
    'null',
    '5',
    '"x"',
    '[]',
    '{}',
    '{"op":"constructor"}',
    '{"op":"start","id":"odd"}',
    '{"op":"start","id":"odd","record":null}',
    '{"op":"start","id":5,"record":{}}',
    '{"op":"pid","id":"one","record":{"pid":"x","startTime":null}}',
    '{"op":"end","id":"two","record":{"endedAt":5}}',
    '{"op":"journal","version":"2"}',
  ]
  const whole = readFileSync(fileOf(guestd), 'utf8')
  const versions = [
    { text: `${whole}${odd.map(line => `${checked(line)}\n`).join('')}${odd.join('\n')}\n` },
    { text: `${odd.join('\n')}\n${whole}` },
  ]
  for (const { text } of versions) {
    writeFileSync(fileOf(guestd), text)
    await guestd.start()
    t.same(await stateProblems(guestd), ['journal_damaged'])
    for (const id of ['one', 'two'])
      t.match((await run(guestd, { id, command: `exit ${id.length}` })).exit, { exitCode: 3 })
    t.equal(await isKnown(t, guestd, 'odd'), false)
    await guestd.kill()
  }
})

t.test('a journal of a guestd before checksums is read', async t => {
  const guestd = await crashed(t)
  const lines = readFileSync(fileOf(guestd), 'utf8').trimEnd().split('\n')
  writeFileSync(
    fileOf(guestd),
    `${lines
      .slice(1)
      .map(line => line.slice(9))
      .join('\n')}\n`,
  )
  await guestd.start()
  t.same(await stateProblems(guestd), [])
  t.equal(await isKnown(t, guestd, 'one'), true)
  t.match(readFileSync(fileOf(guestd), 'utf8'), /^[0-9a-f]{8} \{"op":"journal"/)
})

t.test('one of a later version is set aside and reported', async t => {
  const guestd = await crashed(t)
  const header = checked('{"op":"journal","version":99,"bootId":"x"}')
  writeFileSync(fileOf(guestd), `${header}\n${checked('{"op":"new"}')}\n`)
  await guestd.start()
  t.same(
    (await stateProblems(guestd)).filter(code => code === 'journal_version'),
    ['journal_version'],
  )
  t.match(readFileSync(`${fileOf(guestd)}.damaged`, 'utf8'), /"version":99/)
  t.equal((await run(guestd, { command: 'echo fine' })).stdout, 'fine\n')
})

t.test('a journal that cannot be read is reported, and guestd serves', async t => {
  const guestd = await crashed(t)
  rmSync(fileOf(guestd))
  mkdirSync(join(fileOf(guestd), 'below'), { recursive: true })
  await guestd.start()
  t.same(await stateProblems(guestd), ['journal_unreadable'])
  await run(guestd, { id: 'next', command: 'exit 6' })
  await guestd.kill()
  await guestd.start()
  t.equal(await isKnown(t, guestd, 'next'), true, 'it has a new one')
})

t.test('a journal of more than 512 MiB is read to its end', async t => {
  const guestd = await crashed(t)
  const lines = readFileSync(fileOf(guestd), 'utf8').trimEnd().split('\n')
  const last = lines.filter(line => line.includes('"two"'))
  // A hole takes no space: it reads as one long line of zeros.
  writeFileSync(fileOf(guestd), `${lines.filter(line => !last.includes(line)).join('\n')}\n`)
  truncateSync(fileOf(guestd), 513 * MIB)
  appendFileSync(fileOf(guestd), `\n${last.join('\n')}\n`)
  await guestd.start()
  t.same(await stateProblems(guestd), ['journal_damaged'])
  t.equal(await isKnown(t, guestd, 'one'), true)
  t.equal(await isKnown(t, guestd, 'two'), true)
  t.ok(statSync(fileOf(guestd)).size < MIB)
})

/** A runDir on a file system of its own. */
async function onSmall(t: Test, size: string) {
  const small = makeScratch(t)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', small])
  t.teardown(() => spawnSync('umount', ['-l', small]))
  const guestd = await startGuestd(t, { config: { runDir: join(small, 'run') } })
  const journal = join(small, 'run', 'commands.ndjson')
  const fill = () => void spawnSync('dd', ['if=/dev/zero', `of=${small}/fill`, 'bs=4k'])
  return { guestd, journal, fill, filler: join(small, 'fill') }
}

t.test('on a full runDir guestd starts, and knows all that it knew', async t => {
  const { guestd, journal, fill, filler } = await onSmall(t, '3m')
  const ids = Array.from({ length: 60 }, (_, n) => `c${n}`)
  for (const id of ids) await run(guestd, { id, command: `exit ${Number(id.slice(1)) % 7}` })
  await guestd.kill()
  fill()
  // Room for a part of the new file only.
  truncateSync(filler, statSync(filler).size - 8 * 1024)
  const { size } = statSync(journal)
  t.ok(size > 16 * 1024, 'the journal is longer than that')
  await guestd.start()
  for (const id of ids) {
    const reply = await guestd.request('GET', `/v1/commands/${id}`)
    t.match(reply.json(), { exitCode: Number(id.slice(1)) % 7 })
  }
  t.ok((await stateProblems(guestd)).includes('journal_full'))
  const refused = await guestd.request('POST', '/v1/commands', { body: { command: 'true' } })
  t.match(refused.json(), { status: 503, code: 'state_unavailable' })
  const ready = await guestd.request('GET', '/readyz')
  t.equal(ready.status, 503)
  t.match(ready.text, /runDir/)
  await guestd.kill()
  await guestd.start()
  t.equal(await isKnown(t, guestd, 'c59'), true, 'a second start harms nothing either')
  rmSync(filler)
  await until(async () => (await guestd.request('GET', '/readyz')).status === 200)
  t.equal((await run(guestd, { id: 'after', command: 'exit 5' })).exit.exitCode, 5)
  await guestd.kill()
  await guestd.start()
  t.equal(await isKnown(t, guestd, 'after'), true)
  t.equal(await isKnown(t, guestd, 'c0'), true)
})

t.test('with no space left the ends of running commands are still written', async t => {
  const { guestd, fill } = await onSmall(t, '8m')
  const go = join(guestd.workspace, 'go')
  const ids = Array.from({ length: 30 }, (_, n) => `r${n}`)
  for (const id of ids) {
    const command = `until [ -e ${go} ]; do sleep 0.05; done; exit 9`
    await guestd.request('POST', '/v1/commands', { body: { id, command, detach: true } })
  }
  fill()
  // The last page of the journal takes some more.
  let refused = 0
  for (let count = 0; count < 40; count += 1) {
    const reply = await guestd.request('POST', '/v1/commands', { body: { command: 'true' } })
    if (reply.status !== 200) refused += 1
  }
  t.ok(refused > 0, 'no new one is started')
  writeFileSync(go, '')
  await until(async () => {
    const { commands } = (await guestd.request('GET', '/v1/session')).json()
    return (commands as { running: number }).running === 0
  })
  await guestd.kill()
  await guestd.start()
  for (const id of ids) {
    const { cause, exitCode } = (await guestd.request('GET', `/v1/commands/${id}`)).json()
    t.same([cause, exitCode], ['exit', 9], id)
  }
})
