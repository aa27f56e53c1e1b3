import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  cpSync,
  globSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { makeScratch } from '../helpers/scratch.ts'

const DIST = process.env.GUESTD_TEST_DIST ?? join(import.meta.dirname, '../../dist')
const CACHE = 'guestd-daemon.cache'
const BUNDLE = 'guestd-daemon.cjs'

interface Started {
  /** What guestd says about the code cache. */
  readonly codeCache: unknown
  readonly stderr: string
  readonly code: number | null
}

/** A copy of the programs, to damage. */
function copyDist(t: Test): string {
  const dist = makeScratch(t)
  for (const name of globSync('guestd*', { cwd: DIST })) cpSync(join(DIST, name), join(dist, name))
  writeFileSync(join(dist, 'package.json'), '{ "type": "module" }')
  return dist
}

/** Starts guestd, and stops it once it serves. */
async function start(t: Test, dist: string, ...nodeArgs: string[]): Promise<Started> {
  const dir = makeScratch(t)
  const child = spawn(
    process.execPath,
    [
      ...['--disable-sigusr1', ...nodeArgs, join(dist, 'guestd.js'), '--log-level', 'debug'],
      ...['--listen', `unix:${join(dir, 'api.sock')}`, '--workspace', join(dir, 'workspace')],
    ],
    { env: { GUESTD_RUN_DIR: join(dir, 'run') }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'close')
  let [stdout, stderr] = ['', '']
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    if (stdout.includes('"msg":"serving"')) child.kill('SIGTERM')
  })
  const [code] = await ended
  const lines = stdout.trimEnd().split('\n')
  const loaded = lines.map(line => JSON.parse(line)).find(({ msg }) => msg === 'loaded')
  return { codeCache: loaded?.codeCache, stderr, code }
}

t.test('guestd takes over the code that the build compiled', async t => {
  t.same(await start(t, DIST), { codeCache: 'used', stderr: '', code: 0 })
})

t.test(
  'without a code cache, or with a bad one, guestd starts the same and writes nothing',
  async t => {
    const cases: Readonly<Record<string, (dist: string) => void>> = {
      'it is missing': dist => rmSync(join(dist, CACHE)),
      'it is empty': dist => writeFileSync(join(dist, CACHE), ''),
      'its end is missing': dist => truncateSync(join(dist, CACHE), 500_000),
      'a byte of it has changed': dist => change(join(dist, CACHE), 500_000),
      'it is longer': dist => appendFileSync(join(dist, CACHE), 'more'),
      'the bundle is another one of the same length': dist =>
        change(join(dist, BUNDLE), readFileSync(join(dist, BUNDLE)).lastIndexOf('\n')),
    }
    for (const [what, damage] of Object.entries(cases)) {
      const dist = copyDist(t)
      damage(dist)
      const before = contents(dist)
      const codeCache = what === 'it is missing' ? 'missing' : 'rejected'
      t.same(await start(t, dist), { codeCache, stderr: '', code: 0 }, what)
      t.same(contents(dist), before, `${what}: the files are the same`)
    }
  },
)

t.test(
  'V8 rejects code that was compiled with other flags, and guestd starts the same',
  async t => {
    const started = await start(t, DIST, '--no-opt')
    t.same(started, { codeCache: 'rejected', stderr: '', code: 0 })
  },
)

/** Another byte, also one of JavaScript: a line feed becomes a space. */
function change(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes[at] = bytes[at] === 10 ? 32 : (bytes[at] ?? 0) ^ 1
  writeFileSync(file, bytes)
}

/** Name and base64 of each file. */
const contents = (dist: string) =>
  globSync('*', { cwd: dist })
    .sort()
    .map(name => [name, readFileSync(join(dist, name), 'base64')])
