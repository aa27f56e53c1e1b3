/** The end of this process. */
import { native } from './native.ts'

/**
 * Ends the process at once: nothing is flushed, no handler runs, and no thread is waited for.
 * `process.exit` joins the thread that writes to stdout, and a stalled console holds that for ever.
 */
export function exitNow(code: number): never {
  return native.exitNow(code)
}
