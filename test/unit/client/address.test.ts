import t from 'tap'
import { formatAddress, parseAddress } from '../../../src/client/address.ts'
import {
  ConnectError,
  connectErrorCodes,
  fromConnect,
  fromConnection,
} from '../../../src/client/connect-error.ts'
import { CLIENT_API_VERSION } from '../../../src/client/http-reply.ts'
import { API_VERSION } from '../../../src/protocol/schemas.ts'

t.test('every kind of address is read and written back', async t => {
  const addresses = [
    ['unix:/run/guestd.sock', { kind: 'unix', path: '/run/guestd.sock' }],
    ['unix:a:b', { kind: 'unix', path: 'a:b' }],
    ['firecracker:/vm/v.sock:1023', { kind: 'firecracker', path: '/vm/v.sock', port: 1023 }],
    ['firecracker:/vm:1/v:52', { kind: 'firecracker', path: '/vm:1/v', port: 52 }],
    ['vsock:4:1023', { kind: 'vsock', cid: 4, port: 1023 }],
    ['vsock:4294967294:4294967294', { kind: 'vsock', cid: 4294967294, port: 4294967294 }],
    ['tcp:127.0.0.1:8080', { kind: 'tcp', host: '127.0.0.1', port: 8080 }],
    ['tcp:[::1]:8080', { kind: 'tcp', host: '::1', port: 8080 }],
  ] as const
  for (const [text, address] of addresses) {
    t.same(parseAddress(text), address, text)
    t.equal(formatAddress(parseAddress(text)), text)
  }
})

t.test('what is not an address is refused with the reason', async t => {
  const refused = [
    ['', 'it has no known prefix'],
    ['/run/guestd.sock', 'it has no known prefix'],
    ['http://localhost', 'it has no known prefix'],
    ['unix:', 'the path is missing'],
    [`unix:/${'x'.repeat(107)}`, 'the path has 108 bytes, and a Unix socket allows 107'],
    ['firecracker:/vm/v.sock', 'firecracker needs a port at its end'],
    ['firecracker::1023', 'the path is missing'],
    ['firecracker:/vm/v.sock:x', "'x' is not a whole number from 0 to 4294967294"],
    ['vsock:4', 'vsock needs a port at its end'],
    ['vsock:4294967295:1', "'4294967295' is not a whole number from 0 to 4294967294"],
    ['vsock:-1:1', "'-1' is not a whole number from 0 to 4294967294"],
    ['tcp::80', 'the host is missing'],
    ['tcp:localhost:70000', "'70000' is not a whole number from 0 to 65535"],
  ] as const
  for (const [text, why] of refused) {
    t.throws(
      () => parseAddress(text),
      {
        code: 'bad_address',
        message: `'${text}' is not an address (${why}): give unix:PATH, firecracker:UDS_PATH:PORT, vsock:CID:PORT or tcp:HOST:PORT`,
      },
      text,
    )
  }
})

t.test('the codes of a failed connection are a closed set, each with what to do', async t => {
  t.same(connectErrorCodes, [
    'bad_address',
    'no_socket',
    'refused',
    'no_guest_listener',
    'forbidden',
    'timeout',
    'wrong_socket',
    'version_mismatch',
    'unsupported',
    'not_ready',
    'lost',
  ])
  for (const code of connectErrorCodes) {
    const { message } = new ConnectError(code, 'unix:/x', { detail: 'the detail' })
    t.match(message, /^[^:]*unix:\/x.* \(the detail\): \w.*[\w)]$/, message)
  }
})

t.test('the errors of connect(2) have a code of ours', async t => {
  const system = (code: string) => Object.assign(new Error(code), { code })
  t.equal(fromConnect(system('ENOENT'), 'unix:/x').code, 'no_socket')
  t.equal(fromConnect(system('ECONNREFUSED'), 'unix:/x').code, 'refused')
  t.equal(fromConnect(system('EACCES'), 'unix:/x').code, 'forbidden')
  t.equal(fromConnect(system('ETIMEDOUT'), 'tcp:h:1').code, 'timeout')
  t.equal(fromConnect(system('ENODEV'), 'vsock:9:1').code, 'unsupported')
  t.equal(fromConnect(system('EPROTOTYPE'), 'unix:/x').code, 'wrong_socket')
  t.equal(fromConnect(system('EMFILE'), 'unix:/x').code, 'lost')
  t.equal(fromConnection(system('HPE_INVALID_CONSTANT'), 'unix:/x').code, 'wrong_socket')
  t.equal(fromConnection(system('ECONNRESET'), 'unix:/x').code, 'lost')
  const own = new ConnectError('forbidden', 'unix:/x')
  t.equal(fromConnect(own, 'unix:/y'), own)
})

t.test('the client speaks the version of the API that the protocol describes', async t => {
  t.equal(CLIENT_API_VERSION, API_VERSION)
})
