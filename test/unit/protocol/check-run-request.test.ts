import t from 'tap'
import { GuestdError } from '../../../src/errors.ts'
import {
  checkRunRequest,
  MAX_ARG_BYTES,
  MAX_COMMAND_BYTES,
  MAX_EXEC_BYTES,
  MAX_PATH_BYTES,
  MAX_USER_BYTES,
  type RunRequest,
} from '../../../src/protocol/schemas.ts'
import { thrownBy } from '../../helpers/thrown-by.ts'

function refusal(body: RunRequest): { code: string; field: string | undefined } | null {
  const thrown = thrownBy(() => checkRunRequest(body))
  if (thrown === undefined) return null
  if (!(thrown instanceof GuestdError)) throw thrown
  return { code: thrown.code, field: thrown.field }
}

function blames(field: string) {
  return { code: 'invalid_request', field }
}

t.test('a script alone and an argv alone pass, with all that may go with them', async t => {
  t.equal(refusal({ command: 'true' }), null)
  t.equal(refusal({ argv: ['printf', '%s', ''] }), null)
  t.equal(
    refusal({ command: 'x', cwd: '/tmp', env: { A: '', 'b.c-d': '=' }, user: 1000, detach: true }),
    null,
  )
})

t.test('exactly one of command and argv is taken', async t => {
  t.same(refusal({}), blames('command'))
  t.same(refusal({ command: 'true', argv: ['true'] }), blames('command'))
})

t.test('a command that is empty is refused', async t => {
  t.same(refusal({ command: '' }), blames('command'))
})

t.test('an argv that names no program is refused', async t => {
  t.same(refusal({ argv: [] }), blames('argv'))
  t.same(refusal({ argv: ['', 'x'] }), blames('argv'))
})

t.test('NUL is refused wherever a C string is made of it', async t => {
  t.same(refusal({ command: 'a\0b' }), blames('command'))
  t.same(refusal({ argv: ['a', 'b\0'] }), blames('argv.1'))
  t.same(refusal({ command: 'a', cwd: '/\0' }), blames('cwd'))
  t.same(refusal({ command: 'a', user: 'root\0x' }), blames('user'))
  t.same(refusal({ command: 'a', env: { 'A\0': 'x' } }), blames('env'))
  t.same(refusal({ command: 'a', env: { A: '\0' } }), blames('env.A'))
})

t.test('a name that no environment can hold is refused', async t => {
  t.same(refusal({ command: 'a', env: { '': 'x' } }), blames('env'))
  t.same(refusal({ command: 'a', env: { 'A=B': 'x' } }), blames('env'))
})

t.test('a script is limited to 1 MiB, in bytes and not in characters', async t => {
  t.equal(refusal({ command: '😀'.repeat(MAX_COMMAND_BYTES / 4) }), null)
  t.same(refusal({ command: `${'😀'.repeat(MAX_COMMAND_BYTES / 4)}x` }), blames('command'))
})

t.test('one argument is limited to what execve takes, in bytes', async t => {
  t.equal(refusal({ argv: ['a', 'x'.repeat(MAX_ARG_BYTES)] }), null)
  t.same(refusal({ argv: ['a', 'x'.repeat(MAX_ARG_BYTES + 1)] }), blames('argv.1'))
  t.same(refusal({ argv: ['é'.repeat(MAX_ARG_BYTES / 2 + 1)] }), blames('argv.0'))
})

t.test('a variable is limited to what execve takes, its name and sign included', async t => {
  t.equal(refusal({ command: 'a', env: { AB: 'x'.repeat(MAX_ARG_BYTES - 3) } }), null)
  t.same(refusal({ command: 'a', env: { AB: 'x'.repeat(MAX_ARG_BYTES - 2) } }), blames('env.AB'))
})

t.test('argv and env are limited together to what execve takes', async t => {
  const argument = 'x'.repeat(MAX_ARG_BYTES)
  // Each string counts with its NUL and a pointer.
  const rest = MAX_EXEC_BYTES - 15 * (MAX_ARG_BYTES + 9)
  const argv = (last: number) => [...Array(15).fill(argument), 'x'.repeat(last)]
  t.equal(refusal({ argv: argv(rest - 9) }), null)
  t.same(refusal({ argv: argv(rest - 8) }), blames('argv'))
  t.equal(refusal({ argv: argv(rest - 9 - 12), env: { A: 'x' } }), null)
  t.same(refusal({ argv: argv(rest - 9 - 12), env: { A: 'xy' } }), blames('env'))
  const env = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`A${i}`, argument.slice(9)]))
  t.same(refusal({ command: 'a', env }), blames('env'))
})

t.test('a path and the name of a user are limited to what the system takes, in bytes', async t => {
  t.equal(refusal({ command: 'a', cwd: `/${'é'.repeat((MAX_PATH_BYTES - 1) / 2)}` }), null)
  t.same(refusal({ command: 'a', cwd: `/${'é'.repeat(MAX_PATH_BYTES / 2)}x` }), blames('cwd'))
  t.equal(refusal({ command: 'a', user: 'é'.repeat(MAX_USER_BYTES / 2) }), null)
  t.same(refusal({ command: 'a', user: `${'é'.repeat(MAX_USER_BYTES / 2)}x` }), blames('user'))
})
