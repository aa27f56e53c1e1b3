/** Loads the daemon with the code that V8 compiled for it when it was built. */
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import type { Script } from 'node:vm'
import { codeOf } from './cache-file.ts'
import { type CodeCache, compileDaemon, runDaemon } from './daemon-bundle.ts'

/**
 * Compiles and starts the daemon. Without a code cache that fits, V8 compiles all of it again, and the
 * start only takes longer. Nothing is written.
 *
 * @param bundle its path; the code cache is `.cache` instead of `.cjs`
 * @returns resolves when the daemon serves, or has printed what it was asked for
 */
export async function loadDaemon(bundle: string): Promise<void> {
  const { script, codeCache } = compile(bundle)
  await runDaemon(script, pathToFileURL(bundle).href, codeCache)
}

/** A function of its own: when it returns, the garbage collector can free both files. */
function compile(bundle: string): { script: Script; codeCache: CodeCache } {
  const source = readFileSync(bundle)
  const file = readCache(bundle.replace(/\.cjs$/, '.cache'))
  const code = file === null ? null : codeOf(file, source)
  const script = compileDaemon(source, bundle, code)
  if (file === null) return { script, codeCache: 'missing' }
  const isUsed = code !== null && script.cachedDataRejected === false
  return { script, codeCache: isUsed ? 'used' : 'rejected' }
}

function readCache(path: string): Buffer | null {
  try {
    return readFileSync(path)
  } catch {
    return null
  }
}
