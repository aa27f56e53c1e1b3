import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { makeScratch } from '../helpers/scratch.ts'

const checkout = join(import.meta.dirname, '../..')
/** Nothing of these goes into a package. */
const NOT_COPIED = new Set(['.git', '.tap', 'build', 'dist', 'node_modules'])

interface Place {
  readonly folder: string
  readonly umask: string
  /** Gets the npm package. */
  readonly packages: string
  readonly env: Readonly<Record<string, string>>
}

/** Builds all of it anew, and packs it for hosts and for guests. */
async function packAt({ folder, umask, env, packages }: Place, build: boolean): Promise<Buffer[]> {
  const print = `import { buildPackage } from './scripts/dist.ts'
    console.log((await buildPackage()).deb)`
  const { PATH = '', HOME = '' } = process.env
  const variables = Object.entries({ PATH, HOME, ...env }).map(
    ([name, value]) => `${name}=${value}`,
  )
  // Nothing of tap's environment, which changes how Node loads modules.
  const { stdout } = await execa(
    'env',
    [
      '-i',
      ...variables,
      'sh',
      '-c',
      `set -e; umask ${umask}
      ${build ? 'node scripts/build.ts' : ''}
      sh scripts/npm.sh pack ./dist/npm --loglevel=error --pack-destination ${packages} >/dev/null
      exec node --input-type=module --eval "$0"`,
      print,
    ],
    { cwd: folder },
  )
  const [tarball = ''] = await readdir(packages)
  return Promise.all([readFile(stdout), readFile(join(packages, tarball))])
}

t.test('another place, time zone and umask give the same bytes', async t => {
  // Beside this checkout, for hard links need the same file system.
  await mkdir(join(checkout, 'build'), { recursive: true })
  const other = await mkdtemp(join(checkout, 'build/another-place-'))
  t.teardown(() => rm(other, { recursive: true, force: true }))
  const names = (await readdir(checkout)).filter(name => !NOT_COPIED.has(name))
  await execa('cp', ['-r', ...names.map(name => join(checkout, name)), other])
  await execa('cp', ['-al', join(checkout, 'node_modules'), other])

  const here: Place = {
    folder: checkout,
    umask: '022',
    packages: makeScratch(t),
    env: { XDG_CACHE_HOME: makeScratch(t), TZ: 'UTC', LC_ALL: 'C' },
  }
  const there: Place = {
    folder: other,
    umask: '077',
    packages: makeScratch(t),
    env: { XDG_CACHE_HOME: makeScratch(t), TZ: 'Asia/Tokyo', LC_ALL: 'C.UTF-8' },
  }
  const [deb, tarball] = await packAt(here, false)
  const [otherDeb, otherTarball] = await packAt(there, true)
  t.ok(deb?.equals(otherDeb ?? Buffer.of()), 'the Debian package')
  t.ok(tarball?.equals(otherTarball ?? Buffer.of()), 'the npm package')
  const later = { ...here, env: { ...here.env, SOURCE_DATE_EPOCH: '1700000000' } }
  const [laterDeb] = await packAt(later, false)
  t.notOk(deb?.equals(laterDeb ?? Buffer.of()), 'SOURCE_DATE_EPOCH is the time of its files')
})
