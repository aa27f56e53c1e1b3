import { existsSync, statSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { readVmSettings } from '../../../vm/vm-settings.ts'

t.test('nothing given is nothing set, also as an empty variable of make', async t => {
  const nothing = { machine: {}, image: {} }
  t.same(await readVmSettings({}), nothing)
  const names = ['VOLUME', 'MEM', 'CPUS', 'KERNEL', 'NET', 'AGENT', 'INCLUDE']
  t.same(await readVmSettings(Object.fromEntries(names.map(name => [name, '']))), nothing)
})

t.test('memory, processors, kernel, network, agent and packages', async t => {
  const folder = t.testdir({ kernel: '', agent: {} })
  const settings = await readVmSettings({
    MEM: '2048M',
    CPUS: '4',
    KERNEL: path.join(folder, 'kernel'),
    NET: '1',
    AGENT: path.join(folder, 'agent'),
    INCLUDE: 'python3, jq',
  })
  t.same(settings, {
    machine: { memoryMiB: 2048, cpus: 4, kernel: path.join(folder, 'kernel'), network: true },
    image: { agent: path.join(folder, 'agent'), include: ['python3', 'jq'] },
  })
})

t.test('a missing volume is created, an existing one is used unchanged', async t => {
  const file = path.join(t.testdir({ old: 'mine' }), 'new')
  t.same((await readVmSettings({ VOLUME: file })).machine, { volume: file })
  t.ok(existsSync(file))
  t.ok(statSync(file).size > 1024 ** 3, 'room for 1 GiB')
  t.ok(statSync(file).blocks * 512 < 64 * 1024 ** 2, 'sparse')
  const old = path.join(path.dirname(file), 'old')
  await readVmSettings({ VOLUME: old })
  t.equal(statSync(old).size, 'mine'.length)
})

t.test('a bad value names its variable', async t => {
  const cases: Record<string, string>[] = [
    { MEM: '12' },
    { MEM: '1G' },
    { CPUS: '0' },
    { CPUS: 'two' },
    { NET: 'yes' },
    { KERNEL: '/nowhere/kernel' },
    { AGENT: '/nowhere/agent' },
    { VOLUME: '/nowhere/volume' },
  ]
  for (const env of cases) {
    const [[name = '', value] = []] = Object.entries(env)
    await t.rejects(readVmSettings(env), { name: 'VmError', message: `${name}=${value}:` })
  }
})
