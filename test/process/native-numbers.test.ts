import { closeSync } from 'node:fs'
import t from 'tap'
import { type LaunchSpec, native } from '../../src/sys/native.ts'

/** A command that leaves a trace would be seen: each of these has to throw instead. */
const spec = (change: Partial<Record<keyof LaunchSpec, unknown>>): LaunchSpec => {
  const good = {
    ...{ argv: ['true'], env: [], paths: ['/bin/true'], cwd: '/', oomScoreAdj: '0' },
    ...{ stdin: -1, stdout: 100, stderr: 101, switchUser: false, uid: 0, gid: 0, groups: [] },
    ...{ nofileSoft: 1024, nofileHard: 1024, cgroupPath: null, cgroupWrites: [] },
  }
  return Object.assign(good, change)
}

t.test('a launch takes no number, list or text that it cannot copy as it is', t => {
  const wrong: readonly Partial<Record<keyof LaunchSpec, unknown>>[] = [
    ...[2 ** 32, 2 ** 32 - 1, -1, 0.5, Number.NaN, '1', null, undefined].map(uid => ({ uid })),
    ...[2 ** 32, -1, 1.5].map(gid => ({ gid })),
    ...[[2 ** 32], [-1], ['1'], 'x', null, Array(65_537).fill(1)].map(groups => ({ groups })),
    ...[-2, 0, 2, 2 ** 31, 3.5, '7'].map(stdin => ({ stdin })),
    ...[-1, 2, 2 ** 32 + 5].map(stdout => ({ stdout })),
    ...[-1, 2 ** 31, Number.POSITIVE_INFINITY].map(nofileSoft => ({ nofileSoft })),
    ...[['a', 7], ['a', null], [undefined], 'true', null, ['a\0b']].map(argv => ({ argv })),
    ...[['A=1', 7], ['A=\0']].map(env => ({ env })),
    ...[7, undefined, '/sys/\0'].map(cgroupPath => ({ cgroupPath })),
    ...[['memory.max'], [1, 2], null].map(cgroupWrites => ({ cgroupWrites })),
    ...[undefined, '/\0', 3].map(cwd => ({ cwd })),
    ...[1, undefined, 'true'].map(switchUser => ({ switchUser })),
  ]
  for (const change of wrong) {
    const done = () => t.fail('it was launched')
    t.throws(() => native.launch(spec(change), done), JSON.stringify(change).slice(0, 60))
  }
  t.end()
})

t.test('no other function guesses what a wrong number means', t => {
  const call = (name: keyof typeof native, ...args: unknown[]) =>
    Reflect.apply(native[name] as (...args: unknown[]) => unknown, native, args)
  const wrong: readonly (readonly [keyof typeof native, ...unknown[]])[] = [
    ['sendSignal', -1, 0],
    ['sendSignal', 2 ** 32, 0],
    ['sendSignal', 0, 65],
    ['sendSignal', '0', 0],
    ['openPidfd', 0],
    ['openPidfd', -1],
    ['openPidfd', 2 ** 32 + 1],
    ['pipe', -1],
    ['pipe', 2 ** 33],
    ['lockFile', undefined],
    ['lockImage', -1],
    ['isImageLocked', undefined],
    ['findUser', 2 ** 32],
    ['findUser', -1],
    ['findUser', Number.NaN],
    ['vsockListen', 2 ** 32],
    ['vsockPeer', '3'],
    ['socketFamily', null],
    ['abandonLaunch', 0],
    ['watchExit', 2 ** 32 + 1, 0, () => {}],
    ['watchExit', process.pid, 0, 'no function'],
    ['readPipe', 0.5, () => {}, () => {}],
    ['exitNow', 256],
    ...(['pausePipe', 'closePipe', 'pendingBytes', 'drainPipe'] as const).flatMap(name =>
      [3, null, {}].map(reader => [name, reader, 1] as const),
    ),
    ['findUser', undefined],
    ['findUser', { name: 'root' }],
    ['notifySend', 0, 7, 'x', []],
    ['notifySend', 0, '/x', null, []],
    ['notifySend', 0, '/x', 'x', [-1]],
    ['notifySend', 0, '/x', 'x', Array(17).fill(0)],
  ]
  for (const [name, ...args] of wrong) t.throws(() => call(name, ...args), `${name} ${args}`)
  t.end()
})

t.test('a name with a NUL in it is no user', t => {
  t.not(native.findUser('root'), null)
  for (const name of ['root\0', 'root\0x', 'r'.repeat(300), ''])
    t.equal(native.findUser(name), null)
  t.end()
})

t.test('a text that does not fit is refused, also where the cut would be inside a character', t => {
  const fd = native.notifySocket()
  t.teardown(() => closeSync(fd))
  const send = (address: string, message: string) => native.notifySend(fd, address, message, [])
  t.equal(send(`/nowhere/${'x'.repeat(98)}€`, 'x'), 'ENAMETOOLONG')
  t.equal(send('/nowhere/x', `${'x'.repeat(4094)}€`), 'EMSGSIZE')
  t.equal(send(`/nowhere/${'x'.repeat(98)}`, 'x'.repeat(4095)), 'ENOENT')
  t.end()
})

t.test('the numbers that C and TypeScript share are those of the kernel', t => {
  t.same(native.constants, { maxId: 2 ** 32 - 2, lastSignal: 64, processColumns: 5 })
  t.end()
})

t.test('valid arguments work', t => {
  const [read, write] = native.pipe(65_536)
  closeSync(read)
  closeSync(write)
  t.equal(native.findUser(0)?.uid, 0)
  t.end()
})
