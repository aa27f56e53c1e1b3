import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createClient } from '../../src/client/index.ts'
import { guestctl } from '../helpers/guestctl.ts'
import { type Guestd, startGuestd } from '../helpers/guestd.ts'

const TOKEN = 'correct-horse.battery~staple_0123456789'

const dir = mkdtempSync(join(tmpdir(), 'guestd-access-'))
t.teardown(() => rmSync(dir, { recursive: true, force: true }))

function tokenFile(name: string, mode = 0o600): string {
  const path = join(dir, name)
  writeFileSync(path, `${TOKEN}\n`)
  chmodSync(path, mode)
  return path
}

/** The port that guestd's log names last. */
function portOf(guestd: Guestd): number {
  return Number([...guestd.log().matchAll(/"tcp:127\.0\.0\.1:(\d+)"/g)].at(-1)?.[1])
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly code: unknown
  readonly detail: unknown
}

function ask(
  where: { port: number } | { socketPath: string },
  headers: Record<string, string>,
  path = '/v1/commands',
  method = 'GET',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ ...where, path, method, headers }, async reply => {
      const chunks: Buffer[] = []
      for await (const chunk of reply) chunks.push(chunk)
      const body: unknown = JSON.parse(Buffer.concat(chunks).toString() || '{}')
      const problem = typeof body === 'object' && body !== null ? body : {}
      resolve({
        status: reply.statusCode ?? 0,
        headers: reply.headers,
        code: 'code' in problem ? problem.code : null,
        detail: 'detail' in problem ? problem.detail : null,
      })
    })
    sent.on('error', reject).end()
  })
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

t.test('with a token every listener asks for it, but for /healthz', async t => {
  const socketPath = join(dir, 'token.sock')
  const guestd = await startGuestd(t, {
    config: {
      listen: [`unix:${socketPath}`, 'tcp:127.0.0.1:0'],
      authTokenFile: tokenFile('token'),
    },
  })
  for (const where of [{ port: portOf(guestd) }, { socketPath }]) {
    const refused: readonly Record<string, string>[] = [
      {},
      { authorization: '' },
      { authorization: TOKEN },
      { authorization: `Basic ${Buffer.from(`x:${TOKEN}`).toString('base64')}` },
      bearer(''),
      bearer(TOKEN.slice(0, -1)),
      bearer(`${TOKEN}x`),
      bearer(`${TOKEN} ${TOKEN}`),
    ]
    for (const headers of refused) {
      const answer = await ask(where, headers)
      t.same([answer.status, answer.code], [401, 'unauthorized'], JSON.stringify(headers))
      t.equal(answer.headers['www-authenticate'], 'Bearer realm="guestd"')
      const isMissing = headers.authorization === undefined
      t.match(
        String(answer.detail),
        isMissing ? /is missing$/ : /does not have the token of this guestd$/,
      )
    }
    t.equal((await ask(where, {}, '/v1/nope')).status, 401, 'no route is shown')
    t.equal((await ask(where, {}, '/readyz')).status, 401)
    t.equal((await ask(where, {}, '/healthz')).status, 200)
    t.equal((await ask(where, bearer(TOKEN))).status, 200)
    t.equal((await ask(where, { authorization: `bearer  ${TOKEN} ` })).status, 200)
  }
  t.notOk(guestd.log().includes(TOKEN), 'no line of the log has the token')
})

t.test('a request without the token is refused before its body is read', async t => {
  const guestd = await startGuestd(t, {
    config: { listen: ['tcp:127.0.0.1:0'], authToken: TOKEN },
  })
  const socket = connect(portOf(guestd), '127.0.0.1')
  socket.write(
    'POST /v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{',
  )
  const [first] = await new Promise<[Buffer]>(resolve =>
    socket.once('data', data => resolve([data])),
  )
  t.match(first.toString(), /^HTTP\/1\.1 401 /)
  socket.destroy()
})

t.test('over TCP a web page is refused, by its Origin and by the name of its host', async t => {
  const guestd = await startGuestd(t, {
    config: {
      listen: ['tcp:127.0.0.1:0'],
      authToken: TOKEN,
      tcpHosts: ['guest.internal'],
    },
  })
  const port = portOf(guestd)
  const cases: readonly [Record<string, string>, number, string | null][] = [
    [{ host: `127.0.0.1:${port}` }, 200, null],
    [{ host: 'localhost' }, 200, null],
    [{ host: 'LOCALHOST:80' }, 200, null],
    [{ host: '127.9.9.9' }, 200, null],
    [{ host: '[::1]:80' }, 200, null],
    [{ host: 'guest.internal:8080' }, 200, null],
    [{ host: 'evil.example' }, 403, 'forbidden_host'],
    [{ host: 'localhost.evil.example' }, 403, 'forbidden_host'],
    [{ host: '127.0.0.1.evil.example' }, 403, 'forbidden_host'],
    [{ host: '10.0.0.1' }, 403, 'forbidden_host'],
    [{ host: '[::2]' }, 403, 'forbidden_host'],
    [{ origin: 'http://localhost' }, 403, 'forbidden_origin'],
    [{ origin: 'null' }, 403, 'forbidden_origin'],
  ]
  for (const [headers, status, code] of cases) {
    for (const path of ['/v1/session', '/healthz']) {
      const answer = await ask({ port }, { ...headers, ...bearer(TOKEN) }, path)
      t.same([answer.status, answer.code], [status, code], `${path} ${JSON.stringify(headers)}`)
    }
  }
})

t.test('allowUnauthenticated serves TCP without a token, with a warning', async t => {
  const guestd = await startGuestd(t, {
    config: { listen: ['tcp:127.0.0.1:0'], allowUnauthenticated: true },
  })
  t.equal((await ask({ port: portOf(guestd) }, {})).status, 200)
  t.match(guestd.log(), /"level":"warn".*"listener":"tcp:127\.0\.0\.1:0".*there is no token/)
})

t.test('a token file that others may read ends the start, and the key is named', async t => {
  const config = { listen: ['tcp:127.0.0.1:0'], authTokenFile: tokenFile('open', 0o644) }
  await t.rejects(startGuestd(t, { config }), /authTokenFile: .*open: others may read/)
})

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

t.test('the socket of a unix: listener has the mode and the group of the settings', async t => {
  const plain = join(dir, 'plain.sock')
  await startGuestd(t, { config: { listen: [`unix:${plain}`] } })
  t.equal(modeOf(plain), '600')
  t.equal(statSync(plain).gid, process.getegid?.())

  const shared = join(dir, 'shared.sock')
  const guestd = await startGuestd(t, {
    config: { listen: [`unix:${shared}`], unixMode: '0660', unixGroup: 'daemon' },
  })
  t.equal(modeOf(shared), '660')
  t.equal(statSync(shared).gid, 1, 'daemon is group 1 of Debian')
  t.notMatch(guestd.log(), /there is no token/)

  const open = join(dir, 'open.sock')
  const warned = await startGuestd(t, { config: { listen: [`unix:${open}`], unixMode: '0666' } })
  t.equal(modeOf(open), '666')
  t.match(warned.log(), /"level":"warn".*there is no token/)

  const config = { listen: [`unix:${join(dir, 'none.sock')}`], unixGroup: 'no-such-group' }
  await t.rejects(startGuestd(t, { config }), /unixGroup: there is no group no-such-group/)
})

async function checkGuestctl(t: Test, at: string, file: string): Promise<void> {
  const refused = await guestctl(['ps'], { connect: at })
  t.equal(refused.code, 125)
  t.match(refused.err, /unauthorized\): give --token-file/)
  t.equal((await guestctl(['ps', '--token-file', file], { connect: at })).code, 0)
  t.equal((await guestctl(['--token-file', file, 'ps'], { connect: at })).code, 0)
  t.equal((await guestctl(['ps'], { connect: at, env: { GUESTCTL_TOKEN: TOKEN } })).code, 0)
  t.equal((await guestctl(['ps'], { connect: at, env: { GUESTCTL_TOKEN_FILE: file } })).code, 0)
  const open = tokenFile('open-to-all', 0o644)
  const unsafe = await guestctl(['ps', '--token-file', open], { connect: at })
  t.equal(unsafe.code, 125)
  t.match(unsafe.err, /open-to-all cannot be used: others may read/)
}

t.test('the client library and guestctl send the token', async t => {
  const file = tokenFile('client')
  const guestd = await startGuestd(t, {
    config: { listen: ['tcp:127.0.0.1:0'], authTokenFile: file },
  })
  const at = `tcp:127.0.0.1:${portOf(guestd)}`
  const stranger = createClient({ connect: at })
  await t.rejects(stranger.session(), { code: 'unauthorized' })
  stranger.close()
  const guest = createClient({ connect: at, token: TOKEN })
  t.equal((await guest.run({ command: 'echo hi' }).collect()).exitCode, 0)
  guest.close()
  await checkGuestctl(t, at, file)
})
