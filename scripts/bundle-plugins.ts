/** What the bundles leave out of their packages, or load in another way. */
import { basename } from 'node:path'
import type { Plugin } from 'esbuild'

/** Packages that only a plain folder needs. Each is a bundle of its own, and only a daemon with a folder loads it. */
export const PACKAGES = ['chokidar', 'proper-lockfile']
export const packageBundle = (name: string) => `guestd-${name}.js`

/** Fastify's own schema compilers. guestd sets others, so these would only cost memory. */
const withoutUnusedCompilers: Plugin = {
  name: 'without-unused-compilers',
  setup(bundler) {
    const filter = /^@fastify\/(ajv-compiler|fast-json-stringify-compiler)$/
    bundler.onResolve({ filter }, ({ path }) => ({ path, namespace: 'unused' }))
    bundler.onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: '' }))
  },
}

/**
 * Fastify loads the modules of every kind of server. guestd serves plain HTTP only, and the others take a third
 * of the time that the bundle needs to load.
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
 * An ES import of a built-in module makes Node read all of its exports at the start. For `node:http` that loads
 * HTTP/2 and WebSocket clients. `require` returns the module as it is.
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

/** Leaves the dynamic imports of {@link PACKAGES} to their own bundles. */
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
 * proper-lockfile imports signal-exit and graceful-fs. guestd releases its locks and handles signals itself, and
 * graceful-fs changes `node:fs` for the whole process.
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

/**
 * A schema becomes the JSON that it is. guestctl and the library only check values against schemas, so they do without
 * TypeBox, which makes them: it would take 2 ms of CPU at each start.
 */
const schemasAsData: Plugin = {
  name: 'schemas-as-data',
  setup(bundler) {
    bundler.onLoad(
      { filter: /\/src\/(protocol\/schemas|volume)\/[\w-]+-schema\.ts$/ },
      async ({ path }) => {
        const schemas: object = await import(path)
        const lines = Object.entries(schemas).map(([name, schema]) => {
          if (typeof schema !== 'object')
            throw new Error(`${path} exports ${name}, which is not data`)
          return `export const ${name} = ${JSON.stringify(schema)}`
        })
        return { contents: lines.join('\n') }
      },
    )
  },
}

export const libraryPlugins: Plugin[] = [schemasAsData]

export const guestctlPlugins: Plugin[] = [schemasAsData, requiredBuiltins]

export const daemonPlugins: Plugin[] = [
  withoutUnusedCompilers,
  withoutOtherServers,
  packagesApart,
  withoutSideEffects,
  requiredBuiltins,
]
