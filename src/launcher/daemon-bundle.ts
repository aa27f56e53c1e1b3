/** The daemon's bundle as a script: V8 keeps compiled code of scripts, which Node does not offer for ES modules. */
import { createRequire } from 'node:module'
import { Script } from 'node:vm'

/** Whether V8 took over compiled code: `rejected` when it is damaged, or of another bundle, Node or set of V8 flags. */
export type CodeCache = 'used' | 'rejected' | 'missing'

interface DaemonModule {
  exports: { readonly started?: Promise<void> }
}

/** What the script evaluates to; `scripts/build.ts` writes its head. */
type Daemon = (
  require: NodeJS.Require,
  module: DaemonModule,
  url: string,
  codeCache: CodeCache,
) => void

/**
 * @param source ASCII alone, as esbuild writes it
 * @param filename for stack traces
 * @param code of this source; V8 itself compares only its length
 */
export function compileDaemon(source: Buffer, filename: string, code: Buffer | null): Script {
  return new Script(
    source.toString('latin1'),
    code === null ? { filename } : { filename, cachedData: code },
  )
}

/**
 * @param url of the bundle: what it loads lies beside it
 * @returns resolves when the daemon serves, or has printed what it was asked for
 */
export async function runDaemon(script: Script, url: string, codeCache: CodeCache): Promise<void> {
  const daemon: Daemon = script.runInThisContext()
  const module: DaemonModule = { exports: {} }
  daemon(createRequire(url), module, url, codeCache)
  await module.exports.started
}
