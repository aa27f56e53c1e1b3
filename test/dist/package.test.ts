import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { buildPackage } from '../../scripts/dist.ts'
import { makeScratch } from '../helpers/scratch.ts'

const checkout = join(import.meta.dirname, '../..')
const { deb, version } = await buildPackage()
const tree = makeScratch(t)
await execa('dpkg-deb', ['--extract', deb, tree])

const lines = async (program: string, ...args: string[]) => {
  const { stdout } = await execa(program, args, { env: { LC_ALL: 'C', TZ: 'UTC' } })
  return stdout.split('\n')
}

t.test('every file is in its place, owned by root and writable by root alone', async t => {
  const listed = (await lines('dpkg-deb', '--contents', deb)).map(line => {
    const [mode = '', owner = '', , , , path = ''] = line.split(/ +/)
    t.equal(owner, 'root/root', path)
    const expected = path.endsWith('/')
      ? 'drwxr-xr-x'
      : isProgram(path)
        ? '-rwxr-xr-x'
        : '-rw-r--r--'
    t.equal(mode, expected, path)
    return path
  })
  t.same(listed.filter(path => !path.endsWith('/')).sort(), [
    './etc/guestd/config.json',
    './usr/bin/guestctl',
    './usr/bin/guestd',
    './usr/lib/guestd/guestctl.js',
    './usr/lib/guestd/guestd-chokidar.js',
    './usr/lib/guestd/guestd-daemon.cache',
    './usr/lib/guestd/guestd-daemon.cjs',
    './usr/lib/guestd/guestd-helper',
    './usr/lib/guestd/guestd-proper-lockfile.js',
    './usr/lib/guestd/guestd.js',
    './usr/lib/guestd/guestd_native.node',
    './usr/lib/guestd/node',
    './usr/lib/guestd/package.json',
    './usr/lib/modules-load.d/guestd.conf',
    './usr/lib/sysctl.d/50-guestd.conf',
    './usr/lib/systemd/journald.conf.d/50-guestd.conf',
    './usr/lib/systemd/system/guestd.service',
    './usr/lib/systemd/system/guestd.socket',
    './usr/share/doc/guestd/copyright',
  ])
})

const isProgram = (path: string) =>
  path.startsWith('./usr/bin/') || /\/(node|guestd-helper)$/.test(path)

t.test('its control file describes the package', async t => {
  const fields = await lines('dpkg-deb', '--field', deb)
  for (const field of ['Package: guestd', `Version: ${version}`, 'Architecture: amd64'])
    t.ok(fields.includes(field), field)
  t.notMatch(fields.join('\n'), /@[A-Z_]+@/, 'nothing is left to be filled in')
  t.same(await lines('dpkg-deb', '--info', deb, 'conffiles'), ['/etc/guestd/config.json'])
})

t.test('it depends on the versions of libraries that its programs need', async t => {
  const [depends = ''] = await lines('dpkg-deb', '--field', deb, 'Depends')
  const packages: Readonly<Record<string, string>> = {
    'libc.so.6': 'libc6',
    'libm.so.6': 'libc6',
    'libdl.so.2': 'libc6',
    'libpthread.so.0': 'libc6',
    'ld-linux-x86-64.so.2': 'libc6',
    'libstdc++.so.6': 'libstdc++6',
    'libgcc_s.so.1': 'libgcc-s1',
  }
  let newest = [0, 0]
  for (const name of ['node', 'guestd_native.node', 'guestd-helper']) {
    const dump = await lines('objdump', '-p', join(tree, 'usr/lib/guestd', name))
    for (const line of dump) {
      const library = /^ +NEEDED +(\S+)/.exec(line)?.[1]
      if (library !== undefined) t.match(depends, `${packages[library]} (`, `${name}: ${library}`)
      const [, major, minor] = / GLIBC_(\d+)\.(\d+)/.exec(line) ?? []
      const glibc = [Number(major ?? 0), Number(minor ?? 0)]
      if (compare(glibc, newest) > 0) newest = glibc
    }
  }
  const declared = /libc6 \(>= (\d+)\.(\d+)\)/.exec(depends)?.slice(1).map(Number) ?? []
  t.same(newest, declared, 'libc6')
})

const compare = ([a = 0, b = 0]: number[], [c = 0, d = 0]: number[]) => a - c || b - d

t.test('it has the licences of what is in it', async t => {
  const text = await readFile(join(tree, 'usr/share/doc/guestd/copyright'), 'utf8')
  for (const work of [
    'Node.js is licensed',
    'Apache License',
    '\nfastify ',
    '\npino ',
    '\ntypebox ',
  ])
    t.match(text, work)
})

t.test('no path of the machine that built it is in a file', async t => {
  for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
    // Node comes as it is, from another machine.
    if (!entry.isFile() || entry.name === 'node') continue
    const content = await readFile(join(entry.parentPath, entry.name))
    t.notOk(content.includes(`${checkout}/`), entry.name)
  }
})
