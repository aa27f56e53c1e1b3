import { createConfig, lintFromString } from '@redocly/openapi-core'
import t from 'tap'
import { startGuestd } from '../helpers/guestd.ts'
import { matchExactly } from '../helpers/match-exactly.ts'

const guestd = await startGuestd(t)
const { text } = await guestd.request('GET', '/openapi.json')

/** What redocly's recommended rules find, errors and warnings. */
async function lint(source: string): Promise<string[]> {
  const config = await createConfig({ extends: ['recommended'] })
  const problems = await lintFromString({ source, absoluteRef: 'openapi.json', config })
  return problems.map(
    ({ severity, ruleId, message, location: [at] }) =>
      `${severity} ${ruleId}: ${message} ${at?.pointer}`,
  )
}

t.test('redocly finds nothing to report in the OpenAPI document', async t => {
  t.same(await lint(text), [])
})

t.test('redocly reports a document without servers', async t => {
  const { servers: _, ...document } = JSON.parse(text)
  matchExactly(t, await lint(JSON.stringify(document)), [/^error no-empty-servers/])
})
