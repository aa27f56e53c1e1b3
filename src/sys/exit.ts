/** Ends this process. */
import { native } from './native.ts'

/**
 * Exits at once: it flushes nothing, calls no handler, and waits for no thread. `process.exit` waits for the thread that
 * writes to stdout, and a stalled console blocks that thread without limit.
 */
export function exitNow(code: number): never {
  return native.exitNow(code)
}
