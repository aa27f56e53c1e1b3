/** The image builder: what goes in, what comes out, and that it is the same each time. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { assembleImage, IMAGE_FILES } from '../../rootfs/assemble.ts'
import { buildBase, defaultPackages } from '../../rootfs/base-image.ts'
import { ensureImage } from '../../rootfs/image.ts'
import type { Manifest } from '../../rootfs/manifest.ts'
import { buildPackage } from '../../scripts/dist.ts'
import { makeScratch } from '../helpers/scratch.ts'

/** Two Debians are installed. */
t.setTimeout(15 * 60_000)

const AGENT = path.join(import.meta.dirname, 'fixtures/agent')
/** Small, and in no other image. */
const EXTRA = 'hello'

/** An image with an extra package and an agent, from nothing but the archive of packages. */
async function buildAnew(folder: string): Promise<Manifest> {
  mkdirSync(path.join(folder, 'image'), { recursive: true })
  const archive = path.join(folder, 'base.tar')
  await buildBase([...(await defaultPackages()), EXTRA], archive)
  const base = { key: '', suite: 'bookworm', archive }
  const { deb } = await buildPackage()
  await assembleImage({ base, deb, agent: AGENT }, path.join(folder, 'image'))
  return readManifest(path.join(folder, 'image', IMAGE_FILES.manifest))
}

const readManifest = (file: string): Manifest => JSON.parse(readFileSync(file, 'utf8'))

t.test('two builds from the same inputs give the same bytes, whatever the umask', async t => {
  const scratch = makeScratch(t)
  const first = await buildAnew(path.join(scratch, 'first'))
  const umask = process.umask(0o077)
  t.teardown(() => process.umask(umask))
  const second = await buildAnew(path.join(scratch, 'second'))
  process.umask(umask)
  t.same(second.files, first.files)
  t.same(second, first)

  const root = path.join(scratch, 'first/image', IMAGE_FILES.root)
  const cat = async (file: string) => (await execa('unsquashfs', ['-cat', root, file])).stdout
  const list = (await execa('unsquashfs', ['-lls', '-d', '', root])).stdout.split('\n')
  const line = (file: string) => list.find(one => one.split(' ').includes(file)) ?? ''
  t.test('the extra package and the agent are in it', async t => {
    t.ok(first.packages.some(({ name }) => name === EXTRA))
    t.match(line('/usr/bin/hello'), /^-rwxr-xr-x root\/root/)
    t.match(line('/opt/agent/start'), /^-rwxr-xr-x root\/root/)
    t.match(await cat('etc/systemd/system/agent.service'), /^ExecStart=\/opt\/agent\/start$/m)
    t.match(line('/etc/systemd/system/multi-user.target.wants/agent.service'), /->/)
  })
  t.test(
    'it has guestd and its settings, and no key, log or list of the machine that built it',
    async t => {
      t.match(line('/usr/lib/guestd/guestd.js'), /root\/root/)
      t.same(JSON.parse(await cat('etc/guestd/config.json')), {
        workspace: 'LABEL=guestd-workspace',
        user: 'agent',
      })
      t.equal(await cat('etc/machine-id'), '')
      t.equal(await cat('etc/hostname'), 'guest')
      const names = list.map(one => one.split(' -> ')[0]?.split(' ').at(-1) ?? '')
      t.same(
        names.filter(name => /^\/(boot|tmp|run|dev|var\/lib\/apt\/lists|etc\/ssh)\/./.test(name)),
        [],
      )
    },
  )
  t.test('only programs of Debian’s own have another user’s rights', async t => {
    const setId = list.filter(one => /^-..[sS]|^-.....[sS]/.test(one))
    const names = setId.map(one => one.split(' ').at(-1) ?? '')
    t.ok(names.includes('/usr/bin/sudo'))
    t.notMatch(names.join('\n'), /guestd|agent/)
  })
  t.test('the manifest has the digests, sizes and versions', async t => {
    const { stdout } = await execa('sha256sum', [root])
    t.equal(first.files[IMAGE_FILES.root]?.sha256, stdout.split(' ')[0])
    t.match(first, { suite: 'bookworm', architecture: 'amd64', kernel: /^6\.1\..*-cloud-amd64$/ })
    const elf = readFileSync(path.join(scratch, 'first/image', IMAGE_FILES.elfKernel))
    t.equal(elf.toString('latin1', 0, 4), '\x7fELF')
  })
})

t.test('a package that does not exist, and an agent without a start, are refused', async t => {
  await t.rejects(ensureImage({ include: ['no-such-package-anywhere'] }), {
    name: 'VmError',
    message: /no-such-package-anywhere/,
  })
  const folder = makeScratch(t)
  writeFileSync(path.join(folder, 'start'), '#!/bin/sh\n')
  await t.rejects(ensureImage({ agent: folder }), { name: 'VmError', message: /"start"/ })
})
