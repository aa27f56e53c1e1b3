import t from 'tap'
import { guestctl } from '../helpers/guestctl.ts'
import { run, startGuestd } from '../helpers/guestd.ts'

/** Escaped by JSON.stringify: strict parsers refuse the whole document. */
const LONE_SURROGATE = /\\ud[89a-f]/i

t.test('a command line is not cut inside a character, in any reply', async t => {
  const guestd = await startGuestd(t, { config: { logCommands: true } })
  const command = `: ${'a'.repeat(1021)}😀`
  await run(guestd, { id: 'long', command })
  const kept = command.slice(0, 1023)
  const list = await guestd.request('GET', '/v1/commands')
  t.notMatch(list.text, LONE_SURROGATE)
  const [info] = list.json().commands as [{ commandLine: string }]
  t.equal(info.commandLine, kept)
  const one = await guestd.request('GET', '/v1/commands/long')
  t.notMatch(one.text, LONE_SURROGATE)
  t.equal(one.json().commandLine, kept)
  t.notMatch(guestd.log(), LONE_SURROGATE)
})

t.test('guestctl ps shows whole characters', async t => {
  const guestd = await startGuestd(t)
  await run(guestd, { command: `: ${'a'.repeat(56)}😀 and more` })
  const { out } = await guestctl(['ps', '--all'], { connect: guestd.connect })
  t.match(out, / : a{56}…\n$/)
})
