import t from 'tap'
import { parseListenUri } from '../../../src/util/listen-uri.ts'

t.test('each form of address is read into its parts', async t => {
  t.same(parseListenUri('vsock:1023'), { scheme: 'vsock', uri: 'vsock:1023', port: 1023 })
  t.same(parseListenUri('unix:/run/a:b.sock'), {
    scheme: 'unix',
    uri: 'unix:/run/a:b.sock',
    path: '/run/a:b.sock',
  })
  t.same(parseListenUri('fd:3'), { scheme: 'fd', uri: 'fd:3', fd: 3 })
  t.same(parseListenUri('tcp:127.0.0.2:0'), {
    scheme: 'tcp',
    uri: 'tcp:127.0.0.2:0',
    host: '127.0.0.2',
    port: 0,
  })
  t.match(parseListenUri('tcp:[::1]:8080'), { host: '::1', port: 8080 })
})

t.test('an address that cannot be served is refused with its reason', async t => {
  const refused: readonly [string, RegExp][] = [
    ['', /none of vsock:PORT/],
    ['/run/x.sock', /none of/],
    ['http://127.0.0.1:80', /none of/],
    ['vsock:', /a vsock port/],
    ['vsock:4294967295', /a vsock port/],
    ['vsock:3:1023', /a vsock port/],
    ['vsock:-1', /a vsock port/],
    ['unix:', /no path/],
    ['unix:a\0b', /NUL/],
    [`unix:/${'x'.repeat(107)}`, /108 bytes.*at most 107/],
    [`unix:/${'é'.repeat(54)}`, /109 bytes/],
    ['fd:2', /a descriptor/],
    ['fd:x', /a descriptor/],
    ['tcp:127.0.0.1', /loopback|no port/],
    ['tcp:127.0.0.1:', /a port/],
    ['tcp:127.0.0.1:65536', /a port/],
    ['tcp:0.0.0.0:80', /loopback/],
    ['tcp:10.0.0.1:80', /loopback/],
    ['tcp:[::]:80', /loopback/],
    ['tcp:localhost:80', /loopback/],
    ['tcp:127.0.0.1.example.org:80', /loopback/],
  ]
  for (const [uri, reason] of refused) t.throws(() => parseListenUri(uri), reason, uri)
  t.equal(parseListenUri(`unix:/${'x'.repeat(106)}`).scheme, 'unix')
})
